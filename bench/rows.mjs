// The rows of the table. `shape`: what stands between load and backend; `load`: who asks, and how.
const growthOf = (name, values, row) => values.map((value) => ({ name: `${name}-${value}`, targets: ['ours', 'envoy'], growth: name, value, ...row(value) }));

export const rows = [
  { name: 'hop-plain-1k', shape: 'hop', path: '/1k', connections: 32, default: true },
  { name: 'pair-mtls-1k', shape: 'pair', path: '/1k', connections: 32, default: true },
  { name: 'pair-mtls-1k-c1', shape: 'pair', path: '/1k', connections: 1 },
  // At half of what Envoy can do at most, measured at the beginning of the row.
  { name: 'pair-mtls-1k-open', shape: 'pair', path: '/1k', connections: 32, load: 'open' },
  { name: 'pair-mtls-1m', shape: 'pair', path: '/1m', connections: 8, mibPerRequest: 1 },
  { name: 'pair-grpc-unary', shape: 'pair', protocol: 'grpc', path: '/grpc.testing.TestService/UnaryCall', connections: 4, streams: 8, load: 'h2load' },
  // 100 messages of 1 KiB an answer.
  {
    name: 'pair-grpc-stream',
    shape: 'pair',
    protocol: 'grpc',
    path: '/grpc.testing.TestService/StreamingOutputCall',
    connections: 4,
    streams: 2,
    load: 'h2load',
  },
  { name: 'pair-tcp', shape: 'pair', protocol: 'tcp', path: '/1m', connections: 8, mibPerRequest: 1 },
  { name: 'connections', shape: 'hop', path: '/1k', connections: 16, load: 'close' },
  { name: 'handshakes', shape: 'pair', path: '/1k', connections: 4, load: 'handshakes', targets: ['ours', 'envoy', 'haproxy'] },
  { name: 'chain-5', shape: 'chain', path: '/1k', connections: 4, load: 'open', rate: 100, targets: ['ours', 'envoy', 'none'] },
  { name: 'memory', measure: './rows/memory.mjs' },
  { name: 'memory-node', measure: './rows/memory-node.mjs' },
  { name: 'neighbour', measure: './rows/neighbour.mjs' },
  { name: 'start', measure: './rows/start.mjs' },
  ...growthOf('routes', [10, 100, 1_000, 10_000], (count) => ({ shape: 'pair', path: `/r/${count - 1}`, connections: 32, config: routes(count) })),
  ...growthOf('body', [0, 1_024, 16_384, 131_072, 1_048_576], (bytes) => ({ shape: 'pair', path: `/b${bytes}`, connections: 16 })),
  ...growthOf('headers', [0, 10, 30, 60], (count) => ({ shape: 'pair', path: '/1k', connections: 32, headers: headers(count) })),
  ...growthOf('clients', [1, 8, 32, 128, 512], (connections) => ({ shape: 'pair', path: '/1k', connections })),
];

export const targetNames = ['ours', 'envoy', 'haproxy', 'ours-bare', 'envoy-bare', 'none'];

/** A table of exact and prefix routes, the last of which is asked for. */
function routes(count) {
  const match = (index) => (index % 2 === 0 ? `{uri: {exact: /r/${index}}}` : `{uri: {prefix: /r/${index}}}`);
  const rules = Array.from({ length: count }, (_, index) => `    - {match: [${match(index)}], route: [{destination: {host: backend}}]}`);
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: backend, namespace: default}\nspec:\n  hosts: [backend]\n  http:\n${rules.join('\n')}\n`;
}

/** Of a caller's own: half of them the same in each request, as cookies and tokens are. */
function headers(count) {
  return Array.from({ length: count }, (_, index) => `x-bench-${index}: ${'v'.repeat(10 + ((index * 7) % 40))}`);
}
