import { createValidator, GATEWAY_NAME_LABEL, readResources } from '@outrigger/resources';
import { listenerNames, type ProxyNode, VIRTUAL_OUTBOUND } from '@outrigger/translate';
import { stringify } from 'yaml';
import type { Call } from '../../packages/cli/src/simulate/call.ts';
import { proxyNode } from '../../packages/cli/src/simulate/node.ts';
import { fromWorkload } from '../../packages/cli/src/simulate/outbound.ts';
import { atGateway } from '../../packages/cli/src/simulate/simulate.ts';
import { type World, worldOf } from '../../packages/cli/src/simulate/world.ts';
import type { Difference, Round, Trial } from './duel.ts';
import { GATEWAY } from './generate/http-route.ts';
import { CLIENT_LABELS, NAMESPACE } from './generate/vocabulary.ts';
import { type AskedRequest, GATEWAY_SELECTOR, type GeneratedRound } from './generate/world.ts';

const validator = createValidator();

/** Where a forward proxy listens, by the name of its listener. */
const FORWARD_PROXY = { name: 'http_proxy', host: '127.0.0.1', port: 1 };
const HTTP_PORT = 80;

/** What is refused changes nothing: it is left out, as a control plane does. */
export async function roundOf({ who, outboundPolicy, resources: written, requests }: GeneratedRound): Promise<Round> {
  const { resources, others } = await readResources([{ file: 'generated.yaml', text: yamlOf(written) }], { validator });
  const world = worldOf(resources, others, { outboundPolicy });
  const node = nodeOf(who);
  const names = node.gateway === undefined ? [] : listenerNames(world.mesh, node).names;
  const listenerOf = (port: number): string | undefined =>
    ({ sidecar: VIRTUAL_OUTBOUND, 'forward-proxy': FORWARD_PROXY.name })[who as 'sidecar'] ?? names.find((name) => name.endsWith(`_${port}`));
  return {
    world,
    node,
    ...(who === 'forward-proxy' ? { authorities: requests.map(({ authority }) => authority) } : {}),
    trials: requests.map((request, index) => {
      const call = callOf(request);
      return {
        name: `${index}: ${textOf(request)}`,
        call: who === 'forward-proxy' ? absolute(call, request) : call,
        listener: listenerOf(request.port),
        ...toldOf(who, world, node, call, request),
      };
    }),
  };
}

function nodeOf(who: GeneratedRound['who']): ProxyNode {
  switch (who) {
    case 'gateway':
      return proxyNode({ namespace: NAMESPACE, workload: 'ingress', labels: GATEWAY_SELECTOR, gatewayPorts: {} });
    case 'api-gateway':
      return proxyNode({ namespace: GATEWAY.namespace, workload: GATEWAY.name, labels: { [GATEWAY_NAME_LABEL]: GATEWAY.name }, gatewayPorts: {} });
    default: {
      const captured = proxyNode({ namespace: NAMESPACE, workload: 'client', labels: CLIENT_LABELS });
      return who === 'sidecar' ? captured : { ...captured, capture: undefined, httpProxy: FORWARD_PROXY };
    }
  }
}

/** A simulation is of captured calls: at a forward proxy it says only what chance has a part in. */
function toldOf(who: GeneratedRound['who'], world: World, node: ProxyNode, call: Call, { authority }: AskedRequest): Pick<Trial, 'told' | 'untold'> {
  if (who === 'gateway' || who === 'api-gateway') return { told: atGateway(world, node, call) };
  if (who === 'sidecar') return { told: fromWorkload(world, node, call) };
  const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? HTTP_PORT);
  return { told: fromWorkload(world, nodeOf('sidecar'), { ...call, address: '', port }), untold: true };
}

/** As HTTP_PROXY makes clients send it. */
function absolute(call: Call, { authority, path }: AskedRequest): Call {
  return { ...call, request: { ...call.request!, path: `http://${authority}${path}` } };
}

function callOf({ port, authority, address, method, path, headers, sni }: AskedRequest): Call {
  return {
    address,
    port,
    tls: sni === undefined ? undefined : { sni, alpn: ['h2', 'http/1.1'], certificate: 'none', peer: '' },
    request: { method, scheme: sni === undefined ? 'http' : 'https', authority, path, headers: Object.entries(headers).flat() },
  };
}

function textOf({ port, authority, address, method, path, headers, sni }: AskedRequest): string {
  return [
    `${method} ${path} to ${address || 'no address'}:${port}${sni === undefined ? '' : ` with TLS for ${sni}`}`,
    `host: ${authority}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ].join(', ');
}

function yamlOf(written: GeneratedRound['resources']): string {
  return written.map((one) => stringify(one)).join('---\n');
}

/** For a person: what was written, what was asked, and what came of it. */
export function reportOf(round: GeneratedRound, differences: readonly Difference[]): string {
  const [first, ...more] = differences;
  const { trial, why, seen } = first!;
  return [
    `at ${round.who}, outbound policy ${round.outboundPolicy}, request ${trial}`,
    `  ${why}`,
    `  outrigger: ${JSON.stringify(seen.outrigger)}`,
    `  envoy:     ${JSON.stringify(seen.envoy)}`,
    ...(more.length === 0 ? [] : [`and ${more.length} more of its requests`]),
    yamlOf(round.resources),
  ].join('\n');
}
