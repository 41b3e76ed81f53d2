import type { RequestSample, SampleWindow } from '@outrigger/control-plane/api';
import type { ProxyNode } from '@outrigger/translate';
import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { distance, fateOf, fateText } from './fate.ts';
import type { SeenRequest, Tables } from './tables.ts';
import { virtualHostsOf } from './virtual-hosts.ts';
import type { XdsResource } from './xds-state.ts';

/** What the proxies of a mesh chose of the requests that they saw. */
export interface Traffic {
  readonly windows: readonly SampleWindow[];
  readonly nodes: readonly ProxyNode[];
}

/** Requests of one caller to one host whose fate changes in one way. */
export interface ReplayGroup {
  readonly workload: string;
  readonly direction: SampleWindow['direction'];
  readonly host: string;
  readonly before: string;
  readonly after: string;
  /** Estimated: those that were seen, by the share of them that fares otherwise. */
  readonly requests: number;
  /** Of all requests that were seen. */
  readonly percent: number;
  /** Some of those that were chosen, with the status that they got: "GET /cart (200)". */
  readonly examples: readonly string[];
}

export interface ReplayReport {
  /** Requests that were seen. */
  readonly seen: number;
  /** Of which so many were chosen and are judged by. */
  readonly sampled: number;
  readonly changedPercent: number;
  /** Those that matter most first. */
  readonly groups: readonly ReplayGroup[];
  /** Chosen requests that nothing can be said of, by why. */
  readonly unjudged: Readonly<Record<string, number>>;
}

const MAX_EXAMPLES = 3;
const HASHED = 'hash:';

interface Open {
  readonly group: Omit<ReplayGroup, 'requests' | 'percent' | 'examples'>;
  requests: number;
  readonly examples: Set<string>;
}

/** Runs the tables before and after over what was really seen. */
export function replay(traffic: Traffic, before: Tables, after: Tables): ReplayReport {
  const nodes = new Map(traffic.nodes.map((node) => [node.id, node]));
  const groups = new Map<string, Open>();
  const unjudged: Record<string, number> = {};
  const known = new Map<string, { readonly share: number; readonly from: string; readonly to: string }>();
  let seen = 0;
  let sampled = 0;
  for (const window of traffic.windows) {
    const node = nodes.get(window.node);
    if (node === undefined) {
      note(unjudged, 'their proxy is not there any more', window.samples.length);
      continue;
    }
    if (window.samples.length === 0) continue;
    seen += window.seen;
    sampled += window.samples.length;
    const weight = window.seen / window.samples.length;
    for (const sample of window.samples) {
      if (isDecidedAlike(node, sample, before, after)) continue;
      const request = seenRequest(sample);
      const key = JSON.stringify([node.id, request]);
      let change = known.get(key);
      if (change === undefined) {
        change = judge(node, request, before, after);
        known.set(key, change);
      }
      if (asksForHashed(node, request, before, after)) note(unjudged, 'a rule asks for a header that is kept as a hash', 1);
      if (change.share === 0) continue;
      const { from, to } = change;
      const group = { workload: `${node.namespace}/${node.workload}`, direction: window.direction, host: request.authority, before: from, after: to };
      const id = JSON.stringify(group);
      const open = groups.get(id) ?? { group, requests: 0, examples: new Set() };
      groups.set(id, open);
      open.requests += weight * change.share;
      if (open.examples.size < MAX_EXAMPLES) open.examples.add(exampleOf(sample));
    }
  }
  const changed = [...groups.values()].sort((a, b) => b.requests - a.requests);
  const percentOf = (requests: number): number => (seen === 0 ? 0 : (requests * 100) / seen);
  return {
    seen,
    sampled,
    changedPercent: percentOf(changed.reduce((sum, { requests }) => sum + requests, 0)),
    groups: changed.map(({ group, requests, examples }) => ({
      ...group,
      requests: Math.round(requests),
      percent: percentOf(requests),
      examples: [...examples],
    })),
    unjudged,
  };
}

/** "GET /cart (200)"; a CONNECT has no path. */
function exampleOf({ method, path, authority, status }: RequestSample): string {
  return `${method} ${path || authority}${status === 0 ? '' : ` (${status})`}`;
}

function note(unjudged: Record<string, number>, why: string, count: number): void {
  unjudged[why] = (unjudged[why] ?? 0) + count;
}

function judge(node: ProxyNode, request: SeenRequest, before: Tables, after: Tables): { readonly share: number; readonly from: string; readonly to: string } {
  const [was, is] = [fateOf(before.decide(node, request)), fateOf(after.decide(node, request))];
  const share = distance(was, is);
  return share === 0 ? { share, from: '', to: '' } : { share, from: fateText(was, is), to: fateText(is, was) };
}

/** By the same listener and the same routes. */
function isDecidedAlike(node: ProxyNode, sample: RequestSample, before: Tables, after: Tables): boolean {
  const [old, now] = [before.deciding(node, sample), after.deciding(node, sample)];
  return old.length === now.length && old.every((resource, index) => resource?.version === now[index]?.version);
}

/** Then the fate that is told is that of a request with another value. */
function asksForHashed(node: ProxyNode, request: SeenRequest, before: Tables, after: Tables): boolean {
  const hashed = request.headers.filter((_, at) => at % 2 === 0 && request.headers[at + 1]!.startsWith(HASHED)).map((name) => name.toLowerCase());
  if (hashed.length === 0) return false;
  const resources = [...before.deciding(node, request), ...after.deciding(node, request)];
  return resources.some((resource) => resource !== undefined && hashed.some((name) => headersAsked(resource).has(name)));
}

function headersAsked({ message }: XdsResource): ReadonlySet<string> {
  const routes = virtualHostsOf(message as RouteConfiguration).flatMap((host) => host.routes);
  return new Set(routes.flatMap(({ match }) => (match?.headers ?? []).map(({ name }) => name.toLowerCase())));
}

function seenRequest(sample: RequestSample): SeenRequest {
  const match = /^(.*):(\d{1,5})$/.exec(sample.address);
  return {
    listener: sample.listener,
    address: (match?.[1] ?? '').replace(/^\[|\]$/g, ''),
    port: Number(match?.[2] ?? 0),
    remote: sample.remote,
    tls: sample.tls,
    sni: sample.sni,
    alpn: sample.alpn === '' ? [] : [sample.alpn],
    peer: sample.peer,
    method: sample.method,
    scheme: sample.scheme === 'https' ? 'https' : 'http',
    authority: sample.authority,
    path: sample.path,
    headers: sample.headers,
  };
}
