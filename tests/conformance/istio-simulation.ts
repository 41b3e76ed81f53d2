import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json, JsonObject } from '@outrigger/resources';
import { type ProxyNode, parseSecretName } from '@outrigger/translate';
import type { Call } from '../../packages/cli/src/simulate/call.ts';
import { patchTypes } from '../../packages/cli/src/simulate/envoy-filters.ts';
import { inboundPorts, toWorkload, type WorkloadPort } from '../../packages/cli/src/simulate/inbound.ts';
import { meshConfigOf } from '../../packages/cli/src/simulate/mesh-config.ts';
import { proxyNode } from '../../packages/cli/src/simulate/node.ts';
import { fromWorkload } from '../../packages/cli/src/simulate/outbound.ts';
import type { Outcome } from '../../packages/cli/src/simulate/outcome.ts';
import { atGateway } from '../../packages/cli/src/simulate/simulate.ts';
import { type Addresses, type World, worldOf } from '../../packages/cli/src/simulate/world.ts';
import { boundPorts } from './gateway-services.ts';
import { type GroupResult, type Judged, readCaseResources, runSuites } from './group.ts';

export interface IstioCall {
  readonly Name: string;
  readonly Call: {
    readonly CallMode: 'gateway' | 'outbound' | 'inbound';
    readonly Protocol: 'http' | 'http2' | 'tcp';
    readonly TLS: 'plaintext' | 'tls' | 'mtls';
    readonly Address?: string;
    readonly Port: number;
    readonly Sni?: string;
    readonly Alpn?: string;
    readonly HostHeader?: string;
    readonly Path?: string;
    readonly ClientCertificateFrom?: string;
  };
  readonly Result: {
    readonly ClusterMatched?: string;
    readonly VirtualHostMatched?: string;
    readonly RouteMatched?: string;
    readonly Endpoints?: readonly string[];
    readonly ServerCertificate?: string;
    readonly Error?: string;
  };
  readonly Quirk?: string;
}

export interface IstioSimulation {
  readonly name: string;
  readonly config: string;
  readonly proxy: {
    readonly type: 'router' | 'sidecar';
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ipAddresses?: readonly string[];
    readonly metadata?: Readonly<Record<string, string | boolean>>;
  };
  readonly meshConfig?: JsonObject & { readonly inboundTrafficPolicy?: { readonly mode?: string } };
  readonly settings?: Readonly<Record<string, Json>>;
  readonly addresses?: Readonly<Record<string, string | readonly string[]>>;
  readonly calls: readonly IstioCall[];
}

const WORKLOAD = 'simulated';
/** Of a call that names no host. */
const ANY_HOST = 'any.invalid';
const HTTP_ERRORS = new Set(['ErrNoVirtualHost', 'ErrNoRoute', 'ErrTLSRedirect']);

export function simulationGroup(corpus: string): Promise<GroupResult> {
  return runSuites<IstioSimulation, IstioCall, Prepared>(corpus, 'istio-simulation', {
    casesOf: ({ calls }) => calls,
    prepare,
    nameOf: ({ Name }) => Name,
    judge: judgeCall,
    quirkOf: ({ Quirk }) => Quirk,
  });
}

export interface Prepared {
  readonly simulation: IstioSimulation;
  readonly world: World;
  readonly node: ProxyNode;
  readonly ports: readonly WorkloadPort[];
  /** Of a gateway: the ports that it listens on for a server's. */
  readonly targets: ReadonlyMap<number, ReadonlySet<number>>;
}

export async function prepare(folder: string, simulation: IstioSimulation): Promise<Prepared> {
  const { resources, others } = await readCaseResources([{ file: simulation.config, text: readFileSync(join(folder, simulation.config)) }]);
  const { proxy } = simulation;
  const addresses = proxy.ipAddresses ?? [];
  const options = { addressesFor: allocatedAddresses(simulation), meshConfig: meshConfigOf(simulation.meshConfig ?? {}), types: await patchTypes(resources) };
  const all = worldOf(resources, others, {}, options);
  const bound = proxy.type === 'router' ? boundPorts(all, proxy.namespace, addresses, proxy.labels) : undefined;
  const world = bound === undefined ? all : worldOf(bound.resources, others, {}, options);
  const workload = bound?.service ?? WORKLOAD;
  const who = { namespace: proxy.namespace, workload, labels: proxy.labels, addresses };
  const ports = inboundPorts(world, who);
  const node = proxyNode({
    namespace: proxy.namespace,
    workload,
    labels: bound?.labels ?? proxy.labels,
    inbound: ports,
    addresses,
    ...(bound === undefined ? {} : { gatewayPorts: {} }),
  });
  return { simulation, world, node, ports, targets: bound?.ports ?? new Map() };
}

/** Hosts have them for proxies that answer the names of their workload. */
function allocatedAddresses({ addresses = {}, proxy: { metadata = {} }, settings = {} }: IstioSimulation): Addresses {
  const allocated = String(metadata['DNS_AUTO_ALLOCATE']) === 'true' || String(settings['PILOT_ENABLE_IP_AUTOALLOCATE'] ?? true) === 'true';
  const answers = String(metadata['DNS_CAPTURE']) === 'true' && allocated;
  return ({ hostname }) => (answers ? [addresses[hostname] ?? []].flat() : []);
}

export function judgeCall(prepared: Prepared, { Call: asked, Result }: IstioCall): Judged {
  const call = callOf(asked);
  if (asked.CallMode === 'gateway') return compare(atGateway(prepared.world, bound(prepared, asked.Port), call), Result, prepared, asked);
  if (asked.CallMode === 'outbound') return compare(fromWorkload(prepared.world, prepared.node, call), Result, prepared, asked);
  return compare(toWorkload(prepared.world, prepared.node, call), Result, prepared, asked);
}

/** A server on several ports listens on each of them: here on the one that is called. */
export function bound({ node, targets }: Prepared, called: number): ProxyNode {
  const portMap = Object.fromEntries([...targets].map(([port, own]) => [port, own.has(called) ? called : [...own][0]!]));
  return { ...node, gateway: { address: '0.0.0.0', portMap, portOffset: 0 } };
}

export function callOf(asked: IstioCall['Call']): Call {
  const { TLS, Sni = '', Alpn } = asked;
  const tls =
    TLS === 'plaintext'
      ? undefined
      : {
          sni: Sni,
          alpn: Alpn === undefined || Alpn === '' ? [] : [Alpn],
          certificate:
            TLS !== 'mtls' ? ('none' as const) : asked.ClientCertificateFrom === undefined ? ('mesh' as const) : { signedBy: asked.ClientCertificateFrom },
          peer: 'spiffe://cluster.local/ns/default/sa/default',
        };
  const request =
    asked.Protocol === 'tcp'
      ? undefined
      : {
          method: 'GET',
          scheme: tls === undefined ? ('http' as const) : ('https' as const),
          authority: asked.HostHeader ?? ANY_HOST,
          path: asked.Path ?? '/',
          headers: [],
          plainProtocol: asked.Protocol === 'http2' ? ('h2c' as const) : ('http/1.1' as const),
        };
  return { address: asked.Address ?? '', port: asked.Port, tls, request };
}

function compare(outcome: Outcome, wanted: IstioCall['Result'], { simulation, ports }: Prepared, asked: IstioCall['Call']): Judged {
  const error = errorOf(outcome);
  if (wanted.Error === undefined) {
    if (error !== undefined && wanted.ClusterMatched !== 'BlackHoleCluster') return `${error}: ${outcome.explanation.join('; ')}`;
  } else if (error === undefined) return `it is carried to ${outcome.xds.clusters.join(', ') || outcome.decision}`;
  // Which error of a connection it is depends on how Envoy is configured; that it is refused does not.
  else if (HTTP_ERRORS.has(wanted.Error) || HTTP_ERRORS.has(error)) {
    if (error !== wanted.Error) return `${error}, not ${wanted.Error}`;
  }
  const { clusters } = outcome.xds;
  if (wanted.ClusterMatched !== undefined && !(clusters.length === 1 && clusters[0] === wanted.ClusterMatched))
    return `cluster ${clusters.join(', ') || `none (${outcome.decision})`}, not ${wanted.ClusterMatched}`;
  if (wanted.VirtualHostMatched !== undefined && outcome.xds.virtualHost !== wanted.VirtualHostMatched)
    return `virtual host ${outcome.xds.virtualHost || 'none'}, not ${wanted.VirtualHostMatched}`;
  if (wanted.RouteMatched !== undefined && outcome.xds.route !== wanted.RouteMatched) return `route ${outcome.xds.route || 'none'}, not ${wanted.RouteMatched}`;
  if (wanted.Endpoints !== undefined) {
    const own = ports.find(({ application }) => application.port === asked.Port);
    const localhost = simulation.meshConfig?.inboundTrafficPolicy?.mode === 'LOCALHOST';
    const endpoint = own === undefined ? '' : own.endpoint || (localhost ? `127.0.0.1:${asked.Port}` : '');
    const found = endpoint === '' ? [] : [endpoint];
    if (JSON.stringify(found) !== JSON.stringify(wanted.Endpoints))
      return `endpoints ${found.join(', ') || 'the address dialled'}, not ${wanted.Endpoints.join(', ') || 'the address dialled'}`;
  }
  const shown = parseSecretName(outcome.certificate);
  const file = shown?.kind === 'certificate' ? shown.certificate : '';
  if (wanted.ServerCertificate !== undefined && file !== wanted.ServerCertificate)
    return `certificate ${file || 'of no file'}, not ${wanted.ServerCertificate}`;
  return undefined;
}

/** undefined: it is carried. */
function errorOf({ decision, matched, xds, status }: Outcome): string | undefined {
  if (decision === 'no-route') return xds.virtualHost === '' ? 'ErrNoVirtualHost' : 'ErrNoRoute';
  if (decision === 'redirect' && status === 301 && matched === null) return 'ErrTLSRedirect';
  if (decision === 'no-listener') return 'ErrNoListener';
  if (decision === 'no-filter-chain') return 'ErrNoFilterChain';
  return decision === 'tls-error' ? 'ErrTLSError' : undefined;
}
