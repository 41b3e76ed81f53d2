/** Addresses that somebody has. */
export const POD = {
  web: '10.1.0.1',
  /** Where the workload under the second sidecar is called. */
  shop: '10.1.0.2',
  /** And from where it calls: the two sidecars share a network, and its first address is that of what is sent there too. */
  shopCaller: '10.1.0.20',
  plain: '10.1.0.3',
  other: '10.1.0.4',
  stranger: '10.1.0.9',
} as const;

interface Ports {
  readonly [name: string]: number;
}

function service(name: string, clusterIP: string, selector: Readonly<Record<string, string>>, ports: Ports, targets: Ports = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default' },
    spec: { clusterIP, selector, ports: Object.entries(ports).map(([port, number]) => ({ name: port, port: number, targetPort: targets[port] ?? number })) },
  };
}

function pod(name: string, podIP: string, labels: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels }, spec: { serviceAccountName: labels['app'] }, status: { podIP } };
}

function istio(kind: string, name: string, spec: object): object {
  const group = kind === 'PeerAuthentication' || kind === 'AuthorizationPolicy' ? 'security' : 'networking';
  return { apiVersion: `${group}.istio.io/v1`, kind, metadata: { name, namespace: 'default' }, spec };
}

const marked = { request: { set: { 'x-rule': 'marked' } } };
const ruled = (host: string) => istio('VirtualService', host, { hosts: [host], http: [{ headers: marked, route: [{ destination: { host } }] }] });

export const documents: readonly object[] = [
  pod('web', POD.web, { app: 'web' }),
  pod('shop-v1', POD.plain, { app: 'shop', version: 'v1', sidecar: 'none' }),
  pod('shop-v2', POD.shop, { app: 'shop', version: 'v2', has: 'more' }),
  pod('plain', POD.plain, { app: 'plain', sidecar: 'none' }),
  pod('other', POD.other, { app: 'plain', sidecar: 'none' }),
  istio('PeerAuthentication', 'none', { selector: { matchLabels: { sidecar: 'none' } }, mtls: { mode: 'DISABLE' } }),
  istio('PeerAuthentication', 'shop', {
    selector: { matchLabels: { app: 'shop' } },
    portLevelMtls: { 8081: { mode: 'STRICT' }, 8083: { mode: 'STRICT' }, 8086: { mode: 'STRICT' }, 9997: { mode: 'STRICT' } },
  }),
  istio('AuthorizationPolicy', 'shop', {
    selector: { matchLabels: { app: 'shop' } },
    action: 'DENY',
    rules: [{ to: [{ operation: { ports: ['9998'] } }] }],
  }),
  istio('Sidecar', 'shop', { workloadSelector: { labels: { app: 'shop' } }, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, egress: [{ hosts: ['*/*'] }] }),

  service('shop', '10.96.0.10', { app: 'shop' }, { http: 80 }, { http: 8080 }),
  istio('DestinationRule', 'shop', { host: 'shop', subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) }),
  istio('VirtualService', 'shop', {
    hosts: ['shop'],
    http: [
      { match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [{ destination: { host: 'shop', subset: 'v2' } }] },
      { route: [{ destination: { host: 'shop', subset: 'v1' } }] },
    ],
  }),
  service('auto', '10.96.0.11', { app: 'plain' }, { any: 9000 }, { any: 9001 }),
  ruled('auto'),
  service('db', '10.96.0.12', { app: 'plain' }, { tcp: 5432 }, { tcp: 5433 }),
  service('strict', '10.96.0.13', { has: 'more' }, { http: 81 }, { http: 8081 }),
  service('talk', '10.96.0.14', { has: 'more' }, { tcp: 7000 }, { tcp: 8084 }),
  service('guess', '10.96.0.15', { has: 'more' }, { any: 9100 }),
  istio('VirtualService', 'guess', {
    hosts: ['guess'],
    http: [
      { match: [{ headers: { 'x-to': { exact: 'strict' } } }], route: [{ destination: { host: 'strict', port: { number: 81 } } }] },
      { route: [{ destination: { host: 'guess' } }] },
    ],
  }),
  service('redis', 'None', { app: 'plain' }, { tcp: 6379 }),
  service('peers', 'None', { app: 'plain' }, { http: 8085 }),
  ruled('peers'),
  service('hidden', 'None', { has: 'more' }, { http: 8083, tcp: 8086 }),
  istio('ServiceEntry', 'outside', {
    hosts: ['outside.example'],
    location: 'MESH_EXTERNAL',
    addresses: ['10.97.0.1'],
    resolution: 'STATIC',
    ports: [
      { name: 'tcp', number: 7000, protocol: 'TCP', targetPort: 7001 },
      { name: 'http', number: 80, protocol: 'HTTP', targetPort: 7002 },
    ],
    endpoints: [{ address: POD.other }],
  }),
  istio('ServiceEntry', 'by-name', {
    hosts: ['named.example'],
    location: 'MESH_EXTERNAL',
    resolution: 'STATIC',
    ports: [{ name: 'tls', number: 443, protocol: 'TLS', targetPort: 7003 }],
    endpoints: [{ address: POD.other }],
  }),
];

/** Who listens where: behind the second sidecar on loopback, or at its address. */
export const applications: readonly { readonly host: string; readonly port: number; readonly name: string; readonly greeting?: string }[] = [
  { host: POD.plain, port: 8080, name: 'shop-v1' },
  { host: '127.0.0.1', port: 8080, name: 'shop-v2' },
  { host: '127.0.0.1', port: 8081, name: 'strict' },
  { host: '127.0.0.1', port: 8083, name: 'hidden' },
  { host: POD.shop, port: 8084, name: 'talk', greeting: 'talk greets' },
  { host: '127.0.0.1', port: 9100, name: 'guess' },
  { host: '127.0.0.1', port: 8086, name: 'hidden-tcp' },
  ...[9997, 9998, 9999].map((port) => ({ host: POD.shop, port, name: 'unknown' })),
  ...[POD.plain, POD.other].flatMap((host) => [
    { host, port: 9001, name: 'auto' },
    { host, port: 5433, name: 'db', greeting: 'db greets' },
    { host, port: 6379, name: `redis-${host}` },
    { host, port: 8085, name: `peers-${host}` },
  ]),
  { host: POD.other, port: 7001, name: 'outside-tcp' },
  { host: POD.other, port: 7002, name: 'outside' },
  { host: POD.other, port: 7003, name: 'named' },
  { host: POD.stranger, port: 443, name: 'stranger' },
  { host: POD.stranger, port: 7777, name: 'stranger' },
  { host: POD.stranger, port: 80, name: 'stranger' },
];

export interface Sent {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** Of a request. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly http2?: true;
  /** TLS of the application's own, for that name. */
  readonly sni?: string;
  /** Of a connection; absent: its caller is silent. */
  readonly bytes?: string;
}

export interface Captured {
  readonly what: string;
  readonly sent: Sent;
  readonly answer: string;
  /** That the last proxy of the call is told to send it to; undefined: it is not taken. */
  readonly cluster: string | undefined;
}

const outbound = (port: number, name: string, subset = ''): string => `outbound|${port}|${subset}|${name}.default.svc.cluster.local`;
const WEB = 'spiffe://cluster.local/ns/default/sa/web';
const SHOP = 'spiffe://cluster.local/ns/default/sa/shop';
const { web, shopCaller, shop, plain, other, stranger } = POD;
const toV2 = { 'x-version': 'v2' };

const sent = (from: string, to: string, port: number, more: Pick<Sent, 'host' | 'headers' | 'http2' | 'sni' | 'bytes'> = {}): Sent => ({
  from,
  to,
  port,
  ...more,
});
const row = (what: string, call: Sent, answer: string, cluster: string | undefined): Captured => ({ what, sent: call, answer, cluster });

export const calls: readonly Captured[] = [
  row('a request to the address of a service', sent(web, '10.96.0.10', 80, { host: 'shop' }), '200 shop-v1', outbound(80, 'shop', 'v1')),
  row(
    'by its headers to an instance that has a sidecar',
    sent(web, '10.96.0.10', 80, { host: 'shop', headers: toV2 }),
    `200 shop-v2 ${WEB}`,
    outbound(80, 'shop', 'v2'),
  ),
  row('where only the mesh is let in', sent(web, '10.96.0.13', 81, { host: 'strict' }), `200 strict ${WEB}`, outbound(81, 'strict')),
  row('a request to a port of no declared protocol', sent(web, '10.96.0.11', 9000, { host: 'auto' }), '200 auto marked', outbound(9000, 'auto')),
  row('HTTP/2 to an address of a service', sent(web, '10.96.0.10', 80, { host: 'shop', http2: true }), '200 shop-v1', outbound(80, 'shop', 'v1')),
  row('HTTP/2 where nothing is declared', sent(web, '10.96.0.11', 9000, { host: 'auto', http2: true }), '200 auto marked', outbound(9000, 'auto')),
  row('a connection to it', sent(web, '10.96.0.11', 9000, { bytes: 'ping' }), 'auto ping', outbound(9000, 'auto')),
  row('a request to such a port behind a sidecar', sent(web, '10.96.0.15', 9100, { host: 'guess' }), `200 guess ${WEB}`, outbound(9100, 'guess')),
  row(
    'one that a rule sends elsewhere',
    sent(web, '10.96.0.15', 9100, { host: 'guess', headers: { 'x-to': 'strict' } }),
    `200 strict ${WEB}`,
    outbound(81, 'strict'),
  ),
  row('HTTP/2 to it', sent(web, '10.96.0.15', 9100, { host: 'guess', http2: true }), `200 guess ${WEB}`, outbound(9100, 'guess')),
  row('a connection to that', sent(web, '10.96.0.15', 9100, { bytes: 'ping' }), 'guess ping', outbound(9100, 'guess')),
  row('a connection whose server speaks first', sent(web, '10.96.0.12', 5432), 'db greets', outbound(5432, 'db')),
  row('and whose server has a sidecar', sent(web, '10.96.0.14', 7000), 'talk greets', outbound(7000, 'talk')),
  row('to an instance of a headless service', sent(web, other, 6379, { bytes: 'ping' }), `redis-${other} ping`, outbound(6379, 'redis')),
  row('to another', sent(web, plain, 6379, { bytes: 'ping' }), `redis-${plain} ping`, outbound(6379, 'redis')),
  row('a request to one', sent(web, other, 8085, { host: 'peers' }), `200 peers-${other} marked`, outbound(8085, 'peers')),
  row('to one where only the mesh is let in', sent(web, shop, 8083, { host: 'hidden' }), `200 hidden ${WEB}`, outbound(8083, 'hidden')),
  row('a connection to such a one', sent(web, shop, 8086, { bytes: 'ping' }), 'hidden-tcp ping', outbound(8086, 'hidden')),
  row('to the address of a ServiceEntry', sent(web, '10.97.0.1', 7000, { bytes: 'ping' }), 'outside-tcp ping', 'outbound|7000||outside.example'),
  row('a request to it', sent(web, '10.97.0.1', 80, { host: 'outside.example' }), '200 outside', 'outbound|80||outside.example'),
  row('to an address that nobody knows', sent(web, stranger, 7777, { bytes: 'ping' }), 'stranger ping', 'PassthroughCluster'),
  row('a request to one, at a port that services have', sent(web, stranger, 80, { host: 'stranger.example' }), '200 stranger', 'PassthroughCluster'),
  row('TLS by its name, whatever the address', sent(web, stranger, 443, { sni: 'named.example' }), 'named tls', 'outbound|443||named.example'),
  row('TLS for another name', sent(web, stranger, 443, { sni: 'stranger.example' }), 'stranger tls', 'PassthroughCluster'),
  row('from a workload to itself', sent(shopCaller, '10.96.0.13', 81, { host: 'strict' }), `200 strict ${SHOP}`, outbound(81, 'strict')),
  row('under REGISTRY_ONLY', sent(shopCaller, stranger, 7777, { bytes: 'ping' }), 'closed', undefined),
  row('a request under it', sent(shopCaller, stranger, 80, { host: 'stranger.example' }), '502', undefined),
  row('to a service under it', sent(shopCaller, '10.96.0.11', 9000, { host: 'auto' }), '200 auto marked', outbound(9000, 'auto')),
  row('from outside the mesh', sent(stranger, shop, 8080, { host: 'shop' }), '200 shop-v2', 'inbound|8080||'),
  row('from outside, where only the mesh is let in', sent(stranger, shop, 8081, { host: 'strict' }), 'closed', undefined),
  row('from outside, where nothing is declared', sent(stranger, shop, 9100, { host: 'guess' }), '200 guess', 'inbound|9100||'),
  row('from outside, of a server that speaks first', sent(stranger, shop, 8084), 'talk greets', 'inbound|8084||'),
  row('from outside, to a port that no service has', sent(stranger, shop, 9999, { bytes: 'ping' }), 'unknown ping', 'InboundPassthroughCluster'),
  row('a request to it', sent(stranger, shop, 9999, { host: 'shop' }), '200 unknown', 'InboundPassthroughCluster'),
  row('from outside, to one that a policy closes', sent(stranger, shop, 9998, { bytes: 'ping' }), 'closed', undefined),
  row('a request to that', sent(stranger, shop, 9998, { host: 'shop' }), '403', undefined),
  row('from outside, to one that is for the mesh alone', sent(stranger, shop, 9997, { bytes: 'ping' }), 'closed', undefined),
];
