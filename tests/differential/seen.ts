import type { Outcome, SentRequest, SimulatedDestination } from '../../packages/cli/src/simulate/outcome.ts';
import type { Answer } from './door.ts';
import type { Arrival } from './echo-backend.ts';
import { accountOf } from './secrets.ts';

/** What came of a call at one data plane. */
export interface Seen {
  readonly answer: Answer;
  readonly arrivals: readonly Arrival[];
}

/** Of the connection or of the moment, not of the request. */
const OF_CONNECTION = ['connection', 'keep-alive', 'transfer-encoding', 'te', 'content-length', 'date', 'x-request-id'];
/** What a proxy of the mesh adds for others of the mesh; applications do not read it. */
const OF_MESH = /^(?:x-envoy-|x-outrigger-|x-forwarded-|forwarded$|traceparent$|tracestate$|proxy-status$|server$|content-type$|via$|set-cookie$)/;

function without(headers: Readonly<Record<string, string>>, ...left: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_CONNECTION.includes(name) && !left.includes(name)));
}

/** Nothing of chance in it: the same for both planes, or one of them is wrong. */
export function comparable({ answer, arrivals }: Seen): unknown {
  // An Envoy puts itself into a copy.
  const own = arrivals.length > 1 ? ['x-forwarded-for', 'x-envoy-internal'] : [];
  const arrived = arrivals.map((arrival) => ({ ...arrival, headers: without(arrival.headers, ...own) })).sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
  if (answer.kind === 'closed') return { answer: 'closed', arrived };
  if (answer.kind === 'bytes') return { ...answer, arrived };
  // How the details are worded is each proxy's own, and a cookie that keeps a caller where it is has a value of chance.
  const cookie = answer.headers['set-cookie']?.replace(/"[0-9a-f]{16}"/, '"*"');
  return { ...answer, headers: { ...without(answer.headers, 'proxy-status'), ...(cookie === undefined ? {} : { 'set-cookie': cookie }) }, arrived };
}

/** Where two values of JSON differ first, and how; undefined: they do not. */
export function difference(ours: unknown, envoy: unknown, at = ''): string | undefined {
  if (typeof ours === 'object' && ours !== null && typeof envoy === 'object' && envoy !== null) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(envoy)])) {
      const found = difference((ours as Record<string, unknown>)[key], (envoy as Record<string, unknown>)[key], `${at}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return ours === envoy ? undefined : `${at.slice(1)} is ${JSON.stringify(ours) ?? 'absent'} by ours, ${JSON.stringify(envoy) ?? 'absent'} by Envoy`;
}

/** Whether which destination it is, or whether there is a copy, is left to chance. */
export function byChance({ destinations, mirrors, faults }: Outcome): boolean {
  return (
    destinations.some(({ weight }) => weight > 0 && weight < 100) ||
    mirrors.some(({ percent }) => percent > 0 && percent < 100) ||
    faults.some(({ percent }) => percent > 0 && percent < 100)
  );
}

/** The copies that are made, or may be: for clusters that are there. */
export function copiesOf({ mirrors }: Outcome, clusters: ReadonlySet<string>): Outcome['mirrors'] {
  const exists = (port: number, host: string): boolean => [...clusters].some((name) => name.startsWith(`outbound|${port}|`) && name.endsWith(`|${host}`));
  return mirrors.filter(({ host, port, percent }) => percent > 0 && exists(port, host));
}

const clusterOf = ({ host, port, subset }: Pick<SimulatedDestination, 'host' | 'port' | 'subset'>): string => `outbound|${port}|${subset}|${host}`;

/** How what came of a call differs from what was said of it; undefined: it does not. `clusters`: those that the proxy has. */
export function unlike(told: Outcome, { answer, arrivals }: Seen, clusters: ReadonlySet<string>): string | undefined {
  const missing = told.xds.clusters.filter((name) => !clusters.has(name));
  if (missing.length > 0 && (missing.length === told.xds.clusters.length || arrivals.length === 0)) return unlikeNowhere(told, answer, arrivals);
  const connected = told.status === 0;
  if (connected && (told.decision === 'no-listener' || told.decision === 'no-filter-chain' || told.decision === 'tls-error' || told.decision === 'denied'))
    return answer.kind === 'closed' ? undefined : `it is carried, and was to be ${told.decision}`;
  if (answer.kind === 'closed') return `no answer (${answer.why}), and it was to be ${told.decision} ${told.status}`;
  if (told.certificate !== '' && answer.shown !== '' && !answer.shown.includes(accountOf(told.certificate)) && !told.certificate.startsWith('default'))
    return `another certificate than that of ${told.certificate} is shown`;
  return unlikeArrivals(told, arrivals, clusters) ?? (answer.kind === 'answer' && !connected ? unlikeAnswer(told, answer) : undefined);
}

/** A simulation tells where a call leads, whether anybody is there or not. */
function unlikeNowhere({ status, xds }: Outcome, answer: Answer, arrivals: readonly Arrival[]): string | undefined {
  if (arrivals.length > 0) return `it is carried to ${arrivals[0]!.cluster}, and ${xds.clusters.join(', ')} does not exist`;
  if (answer.kind === 'bytes') return `bytes come back, and ${xds.clusters.join(', ')} does not exist`;
  if (answer.kind === 'closed') return status === 0 ? undefined : `no answer (${answer.why})`;
  return answer.status >= 500 || isGrpc(answer) ? undefined : `status ${answer.status}, and ${xds.clusters.join(', ')} does not exist`;
}

/** What a proxy answers itself to a call of gRPC is 200, and says in a header of gRPC's what it is. */
function isGrpc({ status, headers }: Extract<Answer, { kind: 'answer' }>): boolean {
  return status === 200 && headers['grpc-status'] !== undefined;
}

function unlikeAnswer(told: Outcome, answer: Extract<Answer, { kind: 'answer' }>): string | undefined {
  if (isGrpc(answer)) return told.status === 200 ? 'an error of gRPC' : undefined;
  if (answer.status !== told.status) return `status ${answer.status}, not ${told.status}`;
  const location = answer.headers['location'] ?? null;
  if (location !== told.location && told.response?.headers['location'] !== location) return `location ${location}, not ${told.location}`;
  // Each destination may have headers of its own for its answers.
  if (told.destinations.length > 1) return undefined;
  return unlikeHeaders('answer', told.response?.headers ?? {}, without(answer.headers));
}

function unlikeArrivals(told: Outcome, arrivals: readonly Arrival[], clusters: ReadonlySet<string>): string | undefined {
  const mirrors = copiesOf(told, clusters);
  const possible = told.destinations.filter(({ weight }) => weight > 0);
  const goes = told.decision === 'route' || told.decision === 'passthrough';
  const rest = [...arrivals];
  for (const mirror of goes ? mirrors : []) {
    const whole = rest.findIndex(({ cluster }) => cluster === clusterOf({ ...mirror, subset: '' }));
    const at = whole >= 0 ? whole : rest.findIndex(({ cluster }) => cluster.endsWith(`|${mirror.host}`));
    if (at >= 0 && rest.length > 1) rest.splice(at, 1);
    else if (mirror.percent >= 100) return `no copy for ${mirror.host}`;
  }
  const reached = rest.map(({ cluster }) => cluster).join(', ') || 'nobody';
  if (!goes) return rest.length === 0 ? undefined : `it is carried to ${reached}, and was to be ${told.decision}`;
  const [arrival, more] = rest;
  if (arrival === undefined || more !== undefined) return `it is carried to ${reached}, not to ${told.xds.clusters.join(' or ')}`;
  if (!told.xds.clusters.includes(arrival.cluster)) return `it is carried to ${reached}, not to ${told.xds.clusters.join(' or ')}`;
  if (arrival.protocol === 'bytes') return undefined;
  // Several entries of a route may lead to one cluster.
  const here = possible.filter((one) => clusterOf(one) === arrival.cluster);
  const requests = (here.length === 0 ? possible.slice(0, 1) : here).map(({ request }) => request ?? told.request).filter((request) => request !== null);
  const reasons = requests.map((request) => unlikeRequest(request, arrival));
  return reasons.includes(undefined) ? undefined : reasons[0];
}

function unlikeRequest({ method, host, path, headers }: SentRequest, arrival: Arrival): string | undefined {
  if (arrival.method !== method) return `${arrival.method} arrives, not ${method}`;
  if (arrival.authority !== host) return `host ${arrival.authority} arrives, not ${host}`;
  if (arrival.path !== path) return `path ${arrival.path} arrives, not ${path}`;
  return unlikeHeaders('request', headers, without(arrival.headers));
}

function unlikeHeaders(what: string, told: Readonly<Record<string, string>>, found: Readonly<Record<string, string>>): string | undefined {
  const wanted = without(told);
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(found)]).difference(new Set(['location']))) {
    if (wanted[name] === undefined && OF_MESH.test(name)) continue;
    if (wanted[name] !== found[name])
      return `${what}: header ${name} is ${JSON.stringify(found[name]) ?? 'absent'}, not ${JSON.stringify(wanted[name]) ?? 'absent'}`;
  }
  return undefined;
}
