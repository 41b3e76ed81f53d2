import type { AuthorizationOperation } from '@outrigger/resources';
import { type InboundPort, type Mesh, type ProxyNode, VIRTUAL_INBOUND } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { Decision, Outcome } from '../simulate/outcome.ts';
import type { PlannedProxy } from './input.ts';
import type { SeenRequest, Tables } from './tables.ts';
import type { XdsState } from './xds-state.ts';

/** Somebody who may or may not call, before and after. */
export interface AccessChange {
  /** "default/web" by its service account, or "anybody without mTLS". */
  readonly caller: string;
  /** "default/orders-v1:8080", the port being the service's. */
  readonly target: string;
  readonly change: 'gains' | 'loses';
  /** One request of those that it is about: "GET /admin". */
  readonly request: string;
  /** Of how many requests that were tried. */
  readonly requests: number;
  /** The rule or the reason that decides now. */
  readonly because: string;
}

export interface AccessReport {
  readonly changes: readonly AccessChange[];
  /** Questions for which there was no room. */
  readonly unasked: number;
}

/** More would take seconds. */
const MAX_QUESTIONS = 20_000;
const MAX_PROBES = 40;
const PLAIN = 'anybody without mTLS';

interface AccessSide {
  readonly mesh: Mesh;
  readonly state: XdsState;
  readonly tables: Tables;
}

/** Asks the inbound listeners that are another afterwards, for everyone who may call, with requests of the kinds that policies tell apart. */
export function accessChanges(before: AccessSide, after: AccessSide, proxies: readonly PlannedProxy[], mostQuestions = MAX_QUESTIONS): AccessReport {
  const callers = callersOf(proxies, [before.mesh, after.mesh]);
  const changes: AccessChange[] = [];
  const asked = new Set<string>();
  let questions = 0;
  let unasked = 0;
  for (const { node } of proxies) {
    if (node.gateway !== undefined) continue;
    for (const port of node.inbound) {
      const { listener, ...where } = doorOf(node, port);
      const old = before.state.get(node, TypeUrl.listener, listener);
      const now = after.state.get(node, TypeUrl.listener, listener);
      const target = `${node.namespace}/${node.workload}:${port.servicePort}`;
      // Copies of one workload say the same.
      if (old === undefined || now === undefined || old.version === now.version || asked.has(`${target} ${old.version} ${now.version}`)) continue;
      asked.add(`${target} ${old.version} ${now.version}`);
      const probes = takesRequests(now.message as Listener) ? probesOf([before.mesh, after.mesh], node) : [{ method: 'GET', path: '/', authority: '' }];
      for (const [caller, peer] of callers) {
        const differing: { readonly change: AccessChange['change']; readonly request: string; readonly because: string }[] = [];
        for (const probe of probes) {
          if (questions >= mostQuestions) {
            unasked += 1;
            continue;
          }
          questions += 1;
          const seen = seenAs(probe, {
            listener,
            ...where,
            peer,
            authority: probe.authority || `${node.service}:${port.servicePort}`,
          });
          const [was, is] = [before.tables.decide(node, seen), after.tables.decide(node, seen)];
          if (isLetIn(was) === isLetIn(is)) continue;
          differing.push({ change: isLetIn(is) ? 'gains' : 'loses', request: `${probe.method} ${probe.path}`, because: reasonOf(isLetIn(is) ? was : is) });
        }
        for (const change of ['gains', 'loses'] as const) {
          const those = differing.filter((one) => one.change === change);
          if (those.length > 0) changes.push({ caller, target, change, request: those[0]!.request, requests: those.length, because: those[0]!.because });
        }
      }
    }
  }
  return { changes, unasked };
}

/** The listener in front of a port, and where callers connect to. */
function doorOf({ capture }: ProxyNode, { mesh, application }: InboundPort): { readonly listener: string; readonly address: string; readonly port: number } {
  if (capture === undefined) return { listener: `inbound_${mesh.host}_${mesh.port}`, address: mesh.host, port: mesh.port };
  return { listener: VIRTUAL_INBOUND, address: capture.addresses[0] ?? '', port: application.port };
}

const SHUT: ReadonlySet<Decision> = new Set(['denied', 'tls-error', 'no-filter-chain', 'no-listener']);

function isLetIn({ decision }: Outcome): boolean {
  return !SHUT.has(decision);
}

function reasonOf({ decision, authorization, explanation }: Outcome): string {
  if (decision === 'denied') return authorization?.policy ? `denied by ${authorization.policy}` : 'no policy allows it';
  return explanation.at(-1) ?? decision;
}

/** By what they are called: their SPIFFE ids. Those that have a proxy, and those that policies name. */
function callersOf(proxies: readonly PlannedProxy[], meshes: readonly Mesh[]): ReadonlyMap<string, string> {
  const callers = new Map<string, string>();
  const add = (trustDomain: string, namespace: string, account: string): void =>
    void callers.set(`${namespace}/${account}`, `spiffe://${trustDomain}/ns/${namespace}/sa/${account}`);
  for (const { settings, authorizationPolicies } of meshes) {
    for (const { node } of proxies) add(settings.trustDomain, node.namespace, node.serviceAccount);
    for (const policies of authorizationPolicies.values()) {
      const sources = policies.flatMap(({ spec }) => spec.rules ?? []).flatMap(({ from }) => from ?? []);
      for (const principal of sources.flatMap(({ source }) => source?.principals ?? [])) {
        const named = /^([^/*]+)\/ns\/([^/*]+)\/sa\/([^/*]+)$/.exec(principal);
        if (named !== null) add(named[1]!, named[2]!, named[3]!);
      }
    }
  }
  callers.set(PLAIN, '');
  return callers;
}

interface Probe {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
}

/** Requests that the policies which may hold for a workload tell apart, and a plain one. */
function probesOf(meshes: readonly Mesh[], node: ProxyNode): readonly Probe[] {
  const probes = new Map<string, Probe>();
  const add = (method: string, path: string, authority = ''): void => {
    if (probes.size < MAX_PROBES) probes.set(`${method} ${path} ${authority}`, { method, path, authority });
  };
  add('GET', '/');
  for (const mesh of meshes) {
    for (const namespace of new Set([node.namespace, mesh.settings.rootNamespace])) {
      const operations = (mesh.authorizationPolicies.get(namespace) ?? []).flatMap(({ spec }) => spec.rules ?? []).flatMap(({ to }) => to ?? []);
      for (const { operation } of operations) for (const probe of operation === undefined ? [] : ofOperation(operation)) add(...probe);
    }
  }
  return [...probes.values()];
}

function* ofOperation({ methods = [], notMethods = [], paths = [], notPaths = [], hosts = [] }: AuthorizationOperation): Generator<[string, string, string]> {
  const some = (list: readonly string[], fallback: string): readonly string[] => (list.length === 0 ? [fallback] : list);
  for (const method of some([...methods, ...notMethods], 'GET'))
    for (const path of some([...paths, ...notPaths], '/'))
      for (const host of some(hosts, '')) yield [sampleOf(method, 'GET'), pathLike(path), sampleOf(host, '')];
}

/** A text that a pattern with "*" at one end takes. */
function sampleOf(pattern: string, any: string): string {
  return pattern === '*' ? any : pattern.replace(/^\*|\*$/g, '');
}

/** Templates too: "/shop/{*}/cart", "/{**}". */
function pathLike(pattern: string): string {
  const path = sampleOf(pattern, '/').replaceAll(/\{\*+\}/g, 'x');
  return path.startsWith('/') ? path : `/${path}`;
}

function seenAs(probe: Probe, where: { listener: string; address: string; port: number; peer: string; authority: string }): SeenRequest {
  const secure = where.peer !== '';
  return {
    ...where,
    remote: '',
    tls: secure,
    sni: '',
    alpn: secure ? ['istio', 'istio-http/1.1'] : [],
    method: probe.method,
    scheme: secure ? 'https' : 'http',
    path: probe.path,
    headers: [],
  };
}

function takesRequests({ filterChains }: Listener): boolean {
  return filterChains.some(({ filters }) => filters.some(({ name }) => name.includes('http_connection_manager')));
}
