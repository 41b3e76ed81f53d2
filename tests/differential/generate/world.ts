import fc from 'fast-check';
import { destinationRule } from './destination-rule.ts';
import { gateway, gatewayRoute, referenceGrant, serviceRoute } from './http-route.ts';
import { httpRules } from './virtual-service.ts';
import { EXTERNAL, HTTP_PORTS, headerName, headerValue, method, NAMESPACE, OTHER_HOSTS, OTHER_NAMESPACE, path, query, SERVICES } from './vocabulary.ts';

/** A resource as a person writes it. */
export interface Written {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly [field: string]: unknown;
}

export interface AskedRequest {
  readonly port: number;
  readonly authority: string;
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The name that is asked for in TLS; absent: plain text. */
  readonly sni?: string;
}

/** A world as it is written, and what is asked in it. */
export interface GeneratedRound {
  /** "forward-proxy": a sidecar whose application names it as its proxy. */
  readonly who: 'sidecar' | 'forward-proxy' | 'gateway' | 'api-gateway';
  readonly outboundPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly resources: readonly Written[];
  readonly requests: readonly AskedRequest[];
}

export const REQUESTS_A_ROUND = 10;
const ISTIO = 'networking.istio.io/v1';
const GATEWAY_SELECTOR = { istio: 'ingress' };

const services: readonly Written[] = SERVICES.map(({ name, namespace, address }) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { clusterIP: address, selector: { app: name }, ports: HTTP_PORTS.map((port) => ({ name: `http-${port}`, port })) },
}));

const serviceEntry = fc
  .record({
    resolution: fc.constantFrom('DNS', 'STATIC', 'NONE'),
    location: fc.constantFrom('MESH_EXTERNAL', 'MESH_INTERNAL'),
    protocol: fc.constantFrom('HTTP', 'HTTP2'),
    addresses: fc.constantFrom([], [EXTERNAL.address]),
  })
  .map(({ resolution, location, protocol, addresses }) => ({
    apiVersion: ISTIO,
    kind: 'ServiceEntry',
    metadata: { name: 'external', namespace: NAMESPACE },
    spec: {
      hosts: [EXTERNAL.host],
      resolution,
      location,
      ...(addresses.length === 0 ? {} : { addresses }),
      ports: [{ number: 80, name: 'http', protocol }],
      ...(resolution === 'STATIC' ? { endpoints: [{ address: '10.9.9.9' }] } : {}),
    },
  }));

const virtualService = (hosts: readonly string[], gateways: readonly string[]) =>
  fc
    .record({
      name: fc.constantFrom('one', 'two', 'three'),
      namespace: fc.constantFrom(NAMESPACE, NAMESPACE, OTHER_NAMESPACE),
      creationTimestamp: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
      hosts: fc.uniqueArray(fc.constantFrom(...hosts), { minLength: 1, maxLength: 3 }),
      gateways: gateways.length === 0 ? fc.constantFrom(undefined, undefined, ['mesh']) : fc.subarray([...gateways, 'mesh'], { minLength: 1 }),
      exportTo: fc.constantFrom(undefined, undefined, ['*'], ['.']),
      http: httpRules(gateways),
    })
    .map(({ name, namespace, creationTimestamp, gateways: bound, exportTo, ...spec }) => ({
      apiVersion: ISTIO,
      kind: 'VirtualService',
      metadata: { name, namespace, creationTimestamp },
      spec: { ...spec, ...(bound === undefined ? {} : { gateways: bound }), ...(exportTo === undefined ? {} : { exportTo }) },
    }));

const sidecar = fc
  .record(
    {
      egress: fc.subarray(['./*', 'other/*', '*/a.app.svc.cluster.local', '*/*.example.com'], { minLength: 1 }).map((hosts) => [{ hosts }]),
      outboundTrafficPolicy: fc.constantFrom({ mode: 'REGISTRY_ONLY' }, { mode: 'ALLOW_ANY' }),
    },
    { requiredKeys: [] },
  )
  .map((spec) => ({ apiVersion: ISTIO, kind: 'Sidecar', metadata: { name: 'default', namespace: NAMESPACE }, spec }));

const HTTPS_PORT = 443;
const SIMPLE = { mode: 'SIMPLE', credentialName: 'edge' };

const servers = fc
  .array(
    fc.record(
      {
        number: fc.constantFrom(...HTTP_PORTS, HTTPS_PORT),
        hosts: fc.uniqueArray(fc.constantFrom('*', '*.example.com', 'shop.example.com', 'app/*', './*.example.com', 'other/x.example.com'), {
          minLength: 1,
          maxLength: 2,
        }),
        tls: fc.constant({ httpsRedirect: true }),
      },
      { requiredKeys: ['number', 'hosts'] },
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((all) =>
    all.map(({ number, tls, hosts }, index) => {
      const secure = number === HTTPS_PORT;
      const settings = secure ? { tls: SIMPLE } : index > 0 && tls !== undefined ? { tls } : {};
      return { port: { number, name: `port-${index}`, protocol: secure ? 'HTTPS' : 'HTTP' }, hosts, ...settings };
    }),
  );

const istioGateway = fc
  .record({ name: fc.constantFrom('edge', 'other'), namespace: fc.constantFrom(NAMESPACE, NAMESPACE, OTHER_NAMESPACE), servers })
  .map(({ name, namespace, servers: all }) => ({
    apiVersion: ISTIO,
    kind: 'Gateway',
    metadata: { name, namespace },
    spec: { selector: GATEWAY_SELECTOR, servers: all },
  }));
/** So that most of what is asked is answered. */
const openGateway: Written = {
  apiVersion: ISTIO,
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: NAMESPACE },
  spec: {
    selector: GATEWAY_SELECTOR,
    servers: [
      ...HTTP_PORTS.map((number) => ({ port: { number, name: `http-${number}`, protocol: 'HTTP' }, hosts: ['*'] })),
      { port: { number: HTTPS_PORT, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls: SIMPLE },
    ],
  },
};

const meshNames = SERVICES.flatMap(({ name, namespace }) => [name, `${name}.${namespace}`, `${name}.${namespace}.svc.cluster.local`]);
const authority = (names: readonly string[]) =>
  fc.tuple(fc.constantFrom(...names), fc.constantFrom('', '', '', ':80', ':8080', ':81')).map(([name, port]) => `${name}${port}`);

const request = (names: readonly string[], addresses: readonly string[]): fc.Arbitrary<AskedRequest> =>
  fc.record({
    port: fc.constantFrom(...HTTP_PORTS),
    authority: authority(names),
    address: fc.constantFrom(...addresses),
    method,
    path: fc.tuple(path, query).map(([one, more]) => one + more),
    headers: fc.oneof(
      fc.dictionary(headerName, headerValue, { maxKeys: 3 }),
      fc.record(
        {
          origin: fc.constantFrom('https://good.example', 'https://pre.fixed', 'https://bad.invalid'),
          'access-control-request-method': fc.constantFrom('GET', 'PUT', 'DELETE'),
          'access-control-request-headers': fc.constantFrom('x-user', 'X-User, x-other'),
          'x-user': headerValue,
        },
        { requiredKeys: ['origin'] },
      ),
    ),
  });

/** Those of one name are one: the first holds. */
const distinct = (resources: readonly Written[]): Written[] =>
  [...new Map(resources.toReversed().map((one) => [`${one.kind} ${one.metadata.namespace}/${one.metadata.name}`, one])).values()].reverse();

/** Mostly for the host that is then asked for. */
const secured = (names: readonly string[]): fc.Arbitrary<AskedRequest> =>
  fc
    .tuple(request(names, ['']), fc.option(fc.constantFrom(...names), { nil: undefined, freq: 4 }))
    .map(([asked, other]) => ({ ...asked, port: HTTPS_PORT, sni: other ?? asked.authority.split(':')[0]! }));

const some = <T>(one: fc.Arbitrary<T>, maxLength: number, minLength = 0) => fc.array(one, { minLength, maxLength });
const requests = (names: readonly string[], addresses: readonly string[]) =>
  fc.array(request(names, addresses), { minLength: REQUESTS_A_ROUND, maxLength: REQUESTS_A_ROUND });
const outboundPolicy = fc.constantFrom<GeneratedRound['outboundPolicy']>('ALLOW_ANY', 'ALLOW_ANY', 'REGISTRY_ONLY');

const atSidecar = fc
  .tuple(
    some(serviceEntry, 1),
    some(virtualService([...meshNames.slice(0, 3), 'b', 'c.other.svc.cluster.local', EXTERNAL.host, ...OTHER_HOSTS, '*.example.com'], []), 3),
    some(destinationRule, 2),
    some(sidecar, 1),
    some(serviceRoute, 1),
    some(referenceGrant, 1),
    fc.constantFrom<GeneratedRound['who']>('sidecar', 'sidecar', 'forward-proxy'),
    outboundPolicy,
    requests([...meshNames, EXTERNAL.host, ...OTHER_HOSTS, '10.0.0.1'], [...SERVICES.map(({ address }) => address), EXTERNAL.address, '']),
  )
  .map(([entries, virtualServices, rules, sidecars, routes, grants, who, policy, asked]) => ({
    who,
    outboundPolicy: policy,
    resources: [...services, ...distinct([...entries, ...virtualServices, ...rules, ...sidecars, ...routes, ...grants])],
    requests: asked,
  }));

const edgeHosts = [...OTHER_HOSTS, 'unknown.invalid', 'SHOP.example.com'];

const atGateway = fc
  .tuple(
    fc.tuple(fc.constantFrom([openGateway], [openGateway], []), some(istioGateway, 2)).map(([open, more]) => [...open, ...more]),
    some(virtualService([...OTHER_HOSTS, '*.example.com', 'b.app.svc.cluster.local'], ['edge', 'app/edge', 'other/other']), 3, 1),
    some(destinationRule, 1),
    outboundPolicy,
    fc.array(fc.oneof({ weight: 3, arbitrary: request(edgeHosts, ['']) }, { weight: 1, arbitrary: secured(edgeHosts) }), {
      minLength: REQUESTS_A_ROUND,
      maxLength: REQUESTS_A_ROUND,
    }),
  )
  .map(([gateways, virtualServices, rules, policy, asked]) => ({
    who: 'gateway' as const,
    outboundPolicy: policy,
    resources: [...services, ...distinct([...gateways, ...virtualServices, ...rules])],
    requests: asked,
  }));

const atApiGateway = fc.tuple(gateway, some(gatewayRoute, 3, 1), some(referenceGrant, 1), requests(edgeHosts, [''])).map(([one, routes, grants, asked]) => ({
  who: 'api-gateway' as const,
  outboundPolicy: 'ALLOW_ANY' as const,
  resources: [...services, one, ...distinct([...routes, ...grants])],
  requests: asked,
}));

export const generatedRound: fc.Arbitrary<GeneratedRound> = fc.oneof(atSidecar, atGateway, atApiGateway);
export { GATEWAY_SELECTOR };
