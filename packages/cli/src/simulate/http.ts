import {
  compileRouteConfiguration,
  describeErrors,
  EMPTY_STREAM,
  type FilteredStream,
  type FilterServices,
  type HttpManagerConfig,
  narrowedTo,
  normalizePath,
  RequestHead,
  ResponseHead,
  type RouteEntry,
  type RouteTable,
  type StreamInfo,
} from '@outrigger/proxy/pure';
import type { ResourceRef } from '@outrigger/resources';
import { INVALID_BACKEND, type Place, parseOutboundCluster } from '@outrigger/translate';
import type { RouteConfiguration } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { Route, VirtualHost } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { CallRequest } from './call.ts';
import { RefusedByProxy } from './envoy-filters.ts';
import { type AppliedPatch, type Authorization, type Matched, type Outcome, outcome, type SentRequest } from './outcome.ts';
import { faultsOf, resilience } from './route-terms.ts';
import { leavesMesh, targetOf } from './target.ts';
import { whyNot } from './why-not.ts';

/** The routes that an HTTP connection manager asks, as messages and where each is written. */
export interface Routes {
  readonly configuration: RouteConfiguration;
  readonly places: ReadonlyMap<object, Place>;
  /** What of EnvoyFilters was done to them. */
  readonly patches: ReadonlyMap<object, readonly Place[]>;
  /** What they are made of. */
  readonly sources: readonly ResourceRef[];
}

export interface HttpContext {
  readonly manager: HttpManagerConfig;
  readonly routes: Routes;
  readonly facts: FilteredStream['connectionFacts'];
  readonly request: CallRequest;
  readonly matched: (place: Place | undefined, route: Route) => Matched;
  readonly patched?: (places: readonly Place[] | undefined, to: string) => readonly AppliedPatch[];
  /** false: what passed the request over is not told, which costs more than all else. */
  readonly explained?: boolean;
}

/** No chance at all: what only some of the requests get, this one does not. It is told beside the decision. */
const LEAST_LIKELY = 0xffff_ffff;

export function routeRequest({ manager, routes: given, facts, request, matched, patched = () => [], explained = true }: HttpContext): Outcome {
  const head = headOf(request);
  const normal = normalizePath(head.path, manager);
  if (normal.verdict === 'reject') return answered('direct-response', 400, head, [], ['the path cannot be normalized: 400']);
  head.path = normal.path;
  const { routes, table } = routesFor(manager, given, head.authority);
  const host = table.findVirtualHost(head.authority);
  const entry = host?.match(head, 0, { mutual: facts.secure && facts.peerUris.length > 0, internal: false, dynamicMetadata: null }) ?? null;
  const message = host === null || entry === null ? undefined : messageOf(routes.configuration, table, host.name, host.routes.indexOf(entry));
  const hostMessage = host === null ? undefined : virtualHostNamed(routes.configuration, host.name);
  const steps = [host === null ? `no virtual host of ${table.name} is for ${head.authority}` : `virtual host ${host.name} is for ${head.authority}`];
  const base: Partial<Outcome> = {
    ...(message === undefined ? {} : { matched: matched(routes.places.get(message), message), faults: faultsOf(message), ...resilience(message) }),
    patchedBy: [
      ...patched(given.patches.get(given.configuration), `routes ${given.configuration.name}`),
      ...(hostMessage === undefined ? [] : patched(given.patches.get(hostMessage), `virtual host ${hostMessage.name}`)),
      ...(message === undefined ? [] : patched(given.patches.get(message), `route ${message.name}`)),
    ],
    xds: { listener: '', filterChain: '', virtualHost: host?.name ?? '', route: entry?.name ?? '', clusters: [] },
  };
  if (host !== null && explained) steps.push(...passedOver(routes, host.name, message, head));
  if (message !== undefined) steps.push(`route ${entry!.name}: ${base.matched!.resource || 'made by the mesh'} ${base.matched!.rule}`.trimEnd());
  const stream = streamOf(head, facts, entry);
  const verdict = runFilters(manager, entry, stream);
  const { authorization } = verdict;
  steps.push(...verdict.unasked);
  const finish = (found: Outcome, more: readonly string[] = []): Outcome => ({
    ...found,
    ...base,
    authorization,
    explanation: [...steps, ...more],
    xds: { ...base.xds!, clusters: found.xds.clusters },
  });
  if (verdict.answer !== undefined) {
    const { decision, status, headers, why, asItIs } = verdict.answer;
    const given = asItIs || entry === null ? headers : answerHeaders(entry, manager, head, stream, status, headers);
    return finish(answered(decision, status, head, given, []), [why]);
  }
  if (entry === null) return finish(answered('no-route', 404, head, [], []), [host === null ? '404' : 'no route of it matches: 404']);
  return finish(acted(entry, head, stream, manager, base.matched?.resource ?? '', request.backendHeaders ?? []), []);
}

/** More would tell nobody anything. */
const MAX_PASSED_OVER = 10;

/** The routes that stand before the one that matches, or all, with what each wants. Those that only CONNECT asks are not told. */
function passedOver({ configuration, places }: Routes, hostName: string, taken: Route | undefined, head: RequestHead): readonly string[] {
  const all = configuration.virtualHosts.find(({ name, routes }) => (taken === undefined ? name === hostName : routes.includes(taken)))?.routes ?? [];
  const before = (taken === undefined ? all : all.slice(0, all.indexOf(taken))).filter(({ match }) => match?.pathSpecifier.case !== 'connectMatcher');
  const told = before.slice(0, MAX_PASSED_OVER).map((route) => {
    const place = places.get(route);
    return `not ${place === undefined ? route.name : `${place.resource.kind} ${place.resource.namespace}/${place.resource.name} ${place.field}`}: ${whyNot(route, head)}`;
  });
  return before.length > MAX_PASSED_OVER ? [...told, `nor ${before.length - MAX_PASSED_OVER} more`] : told;
}

/** A request that nobody looks into. */
export function sentAsIs(request: CallRequest): SentRequest {
  return sentRequest(headOf(request));
}

function headOf(request: CallRequest): RequestHead {
  const head = new RequestHead();
  return Object.assign(head, {
    method: request.method,
    path: request.path,
    authority: request.authority,
    scheme: request.scheme,
    headers: [...request.headers],
  });
}

/** A table that is there already, or one of no more than the request asks. */
function routesFor({ routes }: HttpManagerConfig, given: Routes, authority: string): { readonly routes: Routes; readonly table: RouteTable } {
  if (routes.kind === 'inline') return { routes: given, table: routes.table };
  // What a patch did to another virtual host may be what the proxy refuses the whole for.
  const configuration = given.patches.size === 0 ? narrowedTo(given.configuration, authority) : given.configuration;
  const result = compileRouteConfiguration(configuration);
  if (!result.ok) throw new RefusedByProxy(`routes ${configuration.name}: ${describeErrors(result.errors)}`, given.sources);
  return { routes: { ...given, configuration }, table: result.value };
}

function virtualHostNamed({ virtualHosts }: RouteConfiguration, hostName: string): VirtualHost | undefined {
  return virtualHosts.find(({ name }) => name === hostName);
}

/** -1 is the redirect to TLS of a whole virtual host. */
function messageOf(configuration: RouteConfiguration, table: RouteTable, hostName: string, index: number): Route | undefined {
  const at = table.virtualHosts.findIndex(({ name }) => name === hostName);
  return index < 0 ? undefined : (configuration.virtualHosts[at] ?? virtualHostNamed(configuration, hostName))?.routes[index];
}

interface FilterAnswer {
  readonly decision: Outcome['decision'];
  readonly status: number;
  readonly headers: readonly string[];
  readonly why: string;
  /** The route has nothing to say to it. */
  readonly asItIs: boolean;
}

function runFilters(
  manager: HttpManagerConfig,
  entry: RouteEntry | null,
  stream: FilteredStream,
): { readonly authorization: Authorization | null; readonly answer: FilterAnswer | undefined; readonly unasked: readonly string[] } {
  const bound = entry === null ? manager.filters.unrouted : entry.fields.filters.boundTo(manager.filters);
  let authorization: Authorization | null = null;
  const unasked: string[] = [];
  for (const filter of bound.request) {
    if (filter === null) continue;
    let verdict = filter.onRequest!(stream);
    const authorizes = filter.name.includes('rbac');
    if (authorizes && verdict.kind === 'pass') authorization = { allowed: true, policy: '' };
    if (verdict.kind === 'delay') verdict = filter.afterDelay!(stream);
    if (verdict.kind === 'wait') unasked.push(`${filter.name} asks another, which is not asked here: it is taken to let the request pass`);
    if (verdict.kind === 'refuse') {
      const { status, details, headers = [] } = verdict;
      if (authorizes) {
        const policy = /\[(.*)\]$/.exec(details)?.[1] ?? '';
        return {
          unasked,
          authorization: { allowed: false, policy: policy === 'none' ? '' : policy },
          answer: { decision: 'denied', status, headers, why: `authorization denies it: ${policy === 'none' ? 'no policy allows it' : policy}`, asItIs: false },
        };
      }
      return {
        unasked,
        authorization,
        answer: {
          decision: details.startsWith('fault') ? 'fault' : 'direct-response',
          status,
          headers,
          why: `${filter.name} answers with ${status} (${details})`,
          asItIs: false,
        },
      };
    }
    if (verdict.kind === 'answer')
      return {
        unasked,
        authorization,
        answer: {
          decision: 'direct-response',
          status: verdict.status,
          headers: verdict.headers,
          why: `${filter.name} answers with ${verdict.status}`,
          asItIs: verdict.asItIs === true,
        },
      };
  }
  return { unasked, authorization, answer: undefined };
}

function acted(
  entry: RouteEntry,
  head: RequestHead,
  stream: FilteredStream,
  manager: HttpManagerConfig,
  owner: string,
  backendHeaders: readonly string[],
): Outcome {
  const { redirect, direct, mirrors } = entry.fields;
  if (redirect !== null) {
    const location = redirect.location(head);
    const headers = answerHeaders(entry, manager, head, stream, redirect.status, ['location', location]);
    return { ...answered('redirect', redirect.status, head, headers, []), location };
  }
  if (direct !== null) {
    // A route of Gateway API has no answers of its own: this one stands for backends that are none.
    const decision = /^(HTTP|GRPC)Route /.test(owner) ? 'invalid-backend' : 'direct-response';
    return answered(decision, direct.status, head, answerHeaders(entry, manager, head, stream, direct.status, []), []);
  }
  const choices = entry.fields.clusters;
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  const heads = choices.map((choice) => {
    const copy = headOf({ ...head, scheme: head.scheme as 'http', headers: head.headers });
    entry.finalizeRequest(copy, choice, infoOf(copy));
    return copy;
  });
  const sent = heads.map(sentRequest);
  const headers = answerHeaders(entry, manager, heads[0]!, stream, 200, backendHeaders);
  const destinations = choices.map((choice, index) => {
    const differs = JSON.stringify(sent[index]) !== JSON.stringify(sent[0]);
    return {
      ...targetOf(choice.clusterName(head)),
      weight: choices.length === 1 || total === 0 ? 100 : (choice.weight * 100) / total,
      ...(differs ? { request: sent[index]! } : {}),
    };
  });
  const real = destinations.filter(({ host }) => host !== INVALID_BACKEND);
  const clusters = choices.map((choice) => choice.clusterName(head));
  const mirrored = mirrors.flatMap(({ cluster, fraction }) => {
    const parsed = parseOutboundCluster(cluster);
    return parsed === undefined ? [] : [{ host: parsed.host, port: parsed.port, percent: fraction.ratio * 100 }];
  });
  if (real.length === 0) {
    const { clusterNotFoundStatus } = entry.fields;
    return answered('invalid-backend', clusterNotFoundStatus, head, answerHeaders(entry, manager, head, stream, clusterNotFoundStatus, []), []);
  }
  return outcome({
    decision: clusters.every(leavesMesh) ? 'passthrough' : 'route',
    status: 200,
    destinations: real,
    request: sent[0]!,
    response: { status: 200, headers: record(headers) },
    mirrors: mirrored,
    xds: { listener: '', filterChain: '', virtualHost: '', route: '', clusters },
  });
}

/** The headers of an answer, whoever gives it, after the route and the filters. */
function answerHeaders(
  entry: RouteEntry,
  manager: HttpManagerConfig,
  head: RequestHead,
  stream: FilteredStream,
  status: number,
  headers: readonly string[],
): readonly string[] {
  const response = Object.assign(new ResponseHead(), { status });
  response.headers.push(...headers);
  // Of several destinations which one it is, is left to chance.
  entry.finalizeResponse(response.headers, entry.fields.clusters.length === 1 ? entry.fields.clusters[0]! : null, infoOf(head, response));
  for (const filter of entry.fields.filters.boundTo(manager.filters).response) filter.onResponse!(stream, response, true);
  return response.headers;
}

function answered(decision: Outcome['decision'], status: number, head: RequestHead, headers: readonly string[], explanation: readonly string[]): Outcome {
  return outcome({ decision, status, request: sentRequest(head), response: { status, headers: record(headers) }, explanation });
}

/** Headers of the mesh's own, which no application reads. */
const OWN_HEADERS = /^x-outrigger-/;

function sentRequest(head: RequestHead): SentRequest {
  const headers = Object.fromEntries(Object.entries(record(head.headers)).filter(([name]) => !OWN_HEADERS.test(name)));
  return { method: head.method, host: head.authority, path: head.path, headers };
}

function record(headers: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase();
    const value = headers[at + 1]!;
    found[name] = found[name] === undefined ? value : `${found[name]},${value}`;
  }
  return found;
}

/** What values of headers may name: of the request as it is by now, and of its answer. */
function infoOf({ method, path, scheme, authority, headers }: RequestHead, response?: ResponseHead): StreamInfo {
  const answer = response === undefined ? {} : { responseCode: response.status, responseHeaders: response.headers };
  return { ...EMPTY_STREAM, method, path, scheme, authority, requestHeaders: headers, ...answer };
}

const NOT_ASKED = { cancel: () => {} };
/** Heads alone are looked at. */
const NO_CONTENT = { hold: () => {}, release: () => {} };

function streamOf(head: RequestHead, facts: FilteredStream['connectionFacts'], route: RouteEntry | null): FilteredStream {
  const services = {
    random: { uint32: () => LEAST_LIKELY },
    nowMs: () => 0,
    unixMs: () => 0,
    failing: () => false,
    clusterHealth: () => 1,
    call: () => NOT_ASKED,
    note: () => {},
  } as unknown as FilterServices;
  const states = new Map<unknown, unknown>();
  return {
    ...EMPTY_STREAM,
    head,
    headIsAll: true,
    connectionFacts: facts,
    route,
    dice: 0,
    services,
    responseFlags: 0,
    dynamicMetadata: null,
    stateOf: (filter: unknown) => states.get(filter),
    keep: (filter: unknown, state: unknown) => void states.set(filter, state),
    transformRequest: () => NO_CONTENT,
    transformResponse: () => NO_CONTENT,
    rematch: () => {},
  } as unknown as FilteredStream;
}
