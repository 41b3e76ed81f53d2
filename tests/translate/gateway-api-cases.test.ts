import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { compileRouteConfiguration, RequestHead } from '@outrigger/proxy/pure';
import { protocolOf, type Resource, readResources, type Service } from '@outrigger/resources';
import { buildMesh, listener, listenerNames, type Mesh, type ProxyNode, routeConfiguration, virtualHost } from '@outrigger/translate';
import type { FilterChain } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { describe, expect, test } from 'vitest';

// Cases that nobody here wrote; they stand beside the project. Where a request goes by the very tables that the proxy matches by.
const corpus = join(import.meta.dirname, '../../../shared/corpus/gateway-api-cases');
const present = existsSync(corpus);

interface Case {
  readonly Name?: string;
  readonly Scheme: string;
  readonly Gateway?: string;
  readonly From?: string;
  readonly To?: string;
  readonly Port: number;
  readonly Request?: {
    readonly Host?: string;
    readonly Method?: string;
    readonly Path?: string;
    readonly Headers?: Record<string, string>;
    readonly SNI?: string;
  };
  readonly Backend?: string;
  readonly Namespace?: string;
  readonly Service?: string;
  readonly Weights?: Record<string, number>;
  readonly Response?: { readonly StatusCodes?: readonly number[] };
  readonly RedirectRequest?: { readonly Scheme?: string; readonly Host?: string; readonly Port?: string; readonly Path?: string };
  readonly Failure?: string;
}

interface Group {
  readonly name: string;
  readonly base?: string;
  readonly resources: readonly string[];
  readonly cases: readonly Case[];
}

interface KubernetesObject {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
  readonly value: {
    readonly metadata?: { readonly labels?: Record<string, string> };
    readonly spec?: { readonly ports?: readonly { name?: string; port: number; appProtocol?: string }[] };
  };
}

const CLASS = 'outrigger';

async function meshOf(group: Group): Promise<Mesh> {
  const files = [...(group.base === undefined ? [] : [group.base]), ...group.resources].map((name) => ({
    file: name,
    text: readFileSync(join(corpus, name), 'utf8').replaceAll('{GATEWAY_CLASS_NAME}', CLASS),
  }));
  const { resources, others } = await readResources(files);
  const services = (others as unknown as KubernetesObject[]).filter(({ kind }) => kind === 'Service').map(serviceOf);
  const namespaces = (others as unknown as KubernetesObject[]).filter(({ kind }) => kind === 'Namespace');
  const namespaceLabels = Object.fromEntries(namespaces.map(({ name, value }) => [name, value.metadata?.labels ?? {}]));
  return buildMesh({ config: resources as Resource[], services, instances: [], settings: { namespaceLabels } });
}

function serviceOf({ name, namespace, value }: KubernetesObject): Service {
  const owner = namespace || 'default';
  return {
    hostname: `${name}.${owner}.svc.cluster.local`,
    name,
    namespace: owner,
    ports: (value.spec?.ports ?? []).map((port) => ({
      name: port.name ?? '',
      port: port.port,
      protocol: protocolOf(port.name ?? 'http', '', port.appProtocol),
    })),
    addresses: [],
    resolution: 'STATIC',
    location: 'MESH_INTERNAL',
    exportTo: ['*'],
    labels: {},
    subjectAltNames: [],
    creationTimestamp: '',
  };
}

function nodeOf(gateway: string): ProxyNode {
  const [namespace = '', name = ''] = gateway.split('/');
  return {
    id: `${name}.${namespace}`,
    dataPlane: 'outrigger',
    namespace,
    serviceAccount: name,
    workload: name,
    service: name,
    version: '',
    labels: { app: name },
    instance: name,
    locality: '',
    onDemand: true,
    httpProxy: undefined,
    upstreams: [],
    inbound: [],
    accessLog: undefined,
    otlp: undefined,
    certificates: false,
    gateway: { address: '0.0.0.0', portMap: {}, portOffset: 0 },
  };
}

/** The chain that Envoy takes: by the most specific name of the handshake. */
function chainFor(chains: readonly FilterChain[], sni: string | undefined): FilterChain | undefined {
  const names = sni === undefined ? [''] : [sni, ...sni.split('.').map((_, index, labels) => `*.${labels.slice(index + 1).join('.')}`), ''];
  for (const name of names) {
    const found = chains.find(({ filterChainMatch }) =>
      name === '' ? (filterChainMatch?.serverNames.length ?? 0) === 0 : filterChainMatch?.serverNames.includes(name),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a sidecar of the mesh does with a call of one service; the same values. */
function meshFate(mesh: Mesh, one: Case): string[] {
  const [namespace = '', name = ''] = one.To!.split('/');
  const sidecar: ProxyNode = { ...nodeOf(one.From!), httpProxy: { host: '127.0.0.1', port: 1 }, gateway: undefined };
  const authority = `${name}.${namespace}.svc.cluster.local:${one.Port}`;
  const { message } = virtualHost(mesh, sidecar, `http_proxy/${authority}`);
  return message === undefined
    ? ['refused']
    : routed(create(RouteConfigurationSchema, { virtualHosts: [message] }), { ...one, Request: { ...one.Request, Host: authority } });
}

function routed(configuration: RouteConfiguration, one: Case): string[] {
  const compiled = compileRouteConfiguration(configuration);
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  const { Host, Method = 'GET', Path = '/', Headers = {} } = one.Request ?? {};
  const head = new RequestHead();
  const grpc = one.Scheme === 'grpc';
  Object.assign(head, { method: grpc ? 'POST' : Method, path: Path, authority: Host ?? 'nobody.example', scheme: one.Scheme === 'https' ? 'https' : 'http' });
  for (const [header, value] of Object.entries({ ...Headers, ...(grpc ? { 'content-type': 'application/grpc' } : {}) }))
    head.headers.push(header.toLowerCase(), value);
  const route = compiled.value.match(head, 0);
  if (route === null) return ['status 404'];
  if (route.fields.redirect !== null) return [`redirect ${route.fields.redirect.location(head)} ${route.fields.redirect.status}`];
  if (route.fields.direct !== null) return [`status ${route.fields.direct.status}`];
  return route.fields.clusters.map(({ name: cluster }) => (cluster.includes('invalid-backend') ? 'status 500' : backend(cluster)));
}

/** "backend HOST", "status N", "redirect URL" or "refused". */
function fate(mesh: Mesh, one: Case): string[] {
  const node = nodeOf(one.Gateway!);
  const name = listenerNames(mesh, node).names.find((candidate) => candidate === `0.0.0.0_${one.Port}`);
  const message = name === undefined ? undefined : listener(mesh, node, name).message;
  const { Host, SNI } = one.Request ?? {};
  const chain = chainFor(message?.filterChains ?? [], one.Scheme === 'https' || one.Scheme === 'tls' ? (SNI ?? Host) : undefined);
  if (chain === undefined) return ['refused'];
  for (const { configType } of chain.filters) {
    const proxy = anyUnpack(configType.value as never, TcpProxySchema);
    if (proxy?.clusterSpecifier.case === 'cluster') return [backend(proxy.clusterSpecifier.value)];
    if (proxy?.clusterSpecifier.case === 'weightedClusters') return proxy.clusterSpecifier.value.clusters.map((cluster) => backend(cluster.name));
    const manager = anyUnpack(configType.value as never, HttpConnectionManagerSchema);
    if (manager?.routeSpecifier.case !== 'rds') continue;
    return routed(routeConfiguration(mesh, node, manager.routeSpecifier.value.routeConfigName).message!, one);
  }
  return ['refused'];
}

function backend(cluster: string): string {
  return `backend ${cluster.split('|')[3]!.replace(/\.svc\.cluster\.local$/, '')}`;
}

function expected(one: Case, gatewayNamespace: string): string[] | RegExp {
  const namespace = one.Namespace ?? gatewayNamespace;
  if (one.Failure !== undefined && one.Backend === undefined) return /^(refused|status .*)$/;
  if (one.RedirectRequest !== undefined) {
    const { Scheme = 'http', Host, Port, Path } = one.RedirectRequest;
    const host = Host ?? '[^/]+?';
    return new RegExp(
      `^redirect ${Scheme}://${host}${Port === undefined || Port === '' ? '' : `:${Port}`}${Path?.replaceAll('.', '\\.') ?? '/[^?]*'}(\\?.*)? ${(one.Response?.StatusCodes ?? []).join('|')}$`,
    );
  }
  if (one.Weights !== undefined)
    return Object.entries(one.Weights)
      .filter(([, weight]) => weight > 0)
      .map(([name]) => `backend ${name}.${namespace}`);
  const service = one.Service?.split('/').reverse().join('.') ?? (one.Backend === undefined ? undefined : `${one.Backend}.${namespace}`);
  if (service !== undefined) return [`backend ${service}`];
  const status = one.Response?.StatusCodes?.[0] ?? 404;
  return status === 200 ? /^backend / : [`status ${status}`];
}

/** What hangs on more than where a request goes: certificates of the case, backends that misbehave, or kinds that are not in effect. */
const LATER = /backendtlspolicy|clientcertificate|client-certificate|backend-request-redirect|backend-url-rewrite/;

const groups = present ? globSync(join(corpus, '*.json')).sort() : [];

describe.skipIf(!present)(`requests of Gateway API's conformance suite${present ? '' : ' (skipped: they are not there)'}`, () => {
  test.each(groups.filter((path) => !LATER.test(basename(path))).map((path) => [basename(dirname(path)) && basename(path, '.json'), path] as const))(
    '%s',
    async (_, path) => {
      const group = JSON.parse(readFileSync(path, 'utf8')) as Group;
      const mesh = await meshOf(group);
      for (const one of group.cases) {
        // What a filter answers is no route's.
        if ((one.Gateway ?? one.From) === undefined || one.Request?.Headers?.['access-control-request-method'] !== undefined) continue;
        const want = expected(one, (one.Gateway ?? one.From)!.split('/')[0]!);
        const found = [...new Set(one.Gateway === undefined ? meshFate(mesh, one) : fate(mesh, one))].sort();
        const context = JSON.stringify(one);
        if (want instanceof RegExp) expect(found.join(), context).toMatch(want);
        else expect(found, context).toEqual([...want].sort());
      }
    },
  );
});
