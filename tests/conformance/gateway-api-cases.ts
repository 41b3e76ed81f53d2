import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GATEWAY_NAME_LABEL, namespaceOf } from '@outrigger/resources';
import type { ProxyNode } from '@outrigger/translate';
import type { Call } from '../../packages/cli/src/simulate/call.ts';
import { secretText } from '../../packages/cli/src/simulate/client-certificate.ts';
import { patchTypes } from '../../packages/cli/src/simulate/envoy-filters.ts';
import { proxyNode } from '../../packages/cli/src/simulate/node.ts';
import { throughUpstream } from '../../packages/cli/src/simulate/outbound.ts';
import type { Outcome, SentRequest, SimulatedDestination } from '../../packages/cli/src/simulate/outcome.ts';
import { atGateway } from '../../packages/cli/src/simulate/simulate.ts';
import { type World, worldOf } from '../../packages/cli/src/simulate/world.ts';
import { type BackendBehavior, statusWith } from './backend-behavior.ts';
import { type GroupResult, type Judged, readCaseResources, runSuites } from './group.ts';

interface Expected {
  readonly Host?: string;
  readonly Method?: string;
  readonly Path?: string;
  readonly Headers?: Readonly<Record<string, string>>;
  readonly AbsentHeaders?: readonly string[];
  readonly SNI?: string;
  readonly TLS?: boolean;
  readonly ClientCertificate?: string;
}

export interface ApiCase {
  readonly Name?: string;
  readonly Scheme: 'http' | 'https' | 'grpc' | 'ws' | 'tls' | 'tcp';
  readonly Gateway?: string;
  readonly From?: string;
  readonly To?: string;
  readonly Port: number;
  readonly Request?: {
    readonly Host?: string;
    readonly Method?: string;
    readonly Path?: string;
    readonly Headers?: Readonly<Record<string, string>>;
    readonly SNI?: string;
    readonly ClientCertificate?: string;
    readonly Protocol?: string;
  };
  readonly Backend?: string;
  readonly Namespace?: string;
  readonly Service?: string;
  readonly Weights?: Readonly<Record<string, number>>;
  readonly ByBackend?: Readonly<Record<string, Expected>>;
  readonly Response?: {
    readonly StatusCodes?: readonly number[];
    readonly GrpcCode?: number;
    readonly Headers?: Readonly<Record<string, string>>;
    readonly AbsentHeaders?: readonly string[];
    readonly ValidHeaderValues?: Readonly<Record<string, readonly string[]>>;
    readonly IgnoreWhitespace?: boolean;
  };
  readonly RedirectRequest?: { readonly Scheme?: string; readonly Host?: string; readonly Port?: string; readonly Path?: string };
  readonly ExpectedRequest?: Expected;
  readonly MirroredTo?: readonly { readonly Name: string; readonly Namespace: string; readonly Percent?: number }[];
  readonly Failure?: 'connection' | 'status' | 'grpc';
  readonly BackendBehavior?: BackendBehavior;
}

export interface ApiSuite {
  readonly name: string;
  readonly base?: string;
  readonly resources: readonly string[];
  readonly cases: readonly ApiCase[];
}

const CLASS = 'outrigger';
/** A name that nothing knows. */
const UNKNOWN_HOST = 'unknown.invalid';
const SHARE_TOLERANCE = 5;
/** What a gRPC client makes of a status of HTTP (gRPC's http-grpc-status-mapping); of all others UNKNOWN. */
const GRPC_CODES = new Map([
  [200, 0],
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);
const GRPC_UNKNOWN = 2;
const TIMEOUTS = [408, 504];

export function gatewayApiGroup(corpus: string): Promise<GroupResult> {
  return runSuites<ApiSuite, ApiCase, World>(corpus, 'gateway-api-cases', {
    casesOf: ({ cases }) => cases,
    prepare: suiteWorld,
    nameOf: ({ Name, Request, Scheme }) => Name ?? `${Request?.Method ?? Scheme} ${Request?.Host ?? ''}${Request?.Path ?? ''}`,
    judge: judgeCase,
  });
}

export async function suiteWorld(folder: string, suite: ApiSuite): Promise<World> {
  const files = [...(suite.base === undefined ? [] : [suite.base]), ...suite.resources].map((file) => ({
    file,
    text: readFileSync(join(folder, file), 'utf8').replaceAll('{GATEWAY_CLASS_NAME}', CLASS),
  }));
  const { resources, others } = await readCaseResources(files);
  return worldOf(resources, others, {}, { types: await patchTypes(resources) });
}

export function judgeCase(world: World, one: ApiCase): Judged {
  const outcome = withBehavior(simulated(world, one), one);
  const said = `${outcome.decision} ${outcome.status}: ${outcome.explanation.join('; ')}`;
  const refused = outcome.status === 0 && ['no-listener', 'no-filter-chain', 'tls-error', 'denied'].includes(outcome.decision);
  if (one.Failure !== undefined) {
    const failed = one.Failure === 'connection' ? refused || outcome.status >= 500 : refused || outcome.status !== 200;
    return failed ? undefined : `it does not fail: ${said}`;
  }
  if (refused) return said;
  return (
    judgeResponse(one, outcome, said) ??
    judgeRedirect(one, outcome) ??
    judgeBackends(one, outcome, said) ??
    judgeMirrors(one, outcome) ??
    judgeArrived(one, outcome)
  );
}

/** A proxy, and what comes to it. */
export interface AskedProxy {
  readonly node: ProxyNode;
  readonly call: Call;
  /** Of a mesh: the service that is called by an address that stands for it. */
  readonly service: string | undefined;
}

export function askedProxy(world: World, one: ApiCase): AskedProxy {
  const { Host, Method = 'GET', Path = '/', Headers = {}, SNI, ClientCertificate } = one.Request ?? {};
  const secure = one.Scheme === 'https' || one.Scheme === 'tls';
  const [namespace = '', name = ''] = (one.Gateway ?? one.From ?? '').split('/');
  const to = one.To?.includes('/') ? one.To.split('/').reverse().join('.') : one.To;
  const authority = Host ?? (to === undefined ? UNKNOWN_HOST : `${to.includes('.') && !/^[\d.]+$/.test(to) ? `${to}.svc.cluster.local` : to}:${one.Port}`);
  const grpc = one.Scheme === 'grpc';
  const headers = Object.entries({ ...Headers, ...(grpc ? { 'content-type': 'application/grpc' } : {}) }).flat();
  const call: Call = {
    address: to === undefined || /^[\d.]+$/.test(to) ? (to ?? '') : addressOf(world, one.To!),
    port: one.Port,
    tls: secure
      ? {
          sni: SNI ?? Host ?? '',
          alpn: one.Scheme === 'https' ? ['h2', 'http/1.1'] : [],
          certificate: ClientCertificate === undefined ? 'none' : { pem: certificateOf(world, ClientCertificate) },
          peer: '',
        }
      : undefined,
    request:
      one.Scheme === 'tcp'
        ? undefined
        : {
            method: grpc ? 'POST' : Method,
            scheme: secure ? 'https' : 'http',
            authority,
            path: Path,
            headers,
            backendHeaders: Object.entries(one.BackendBehavior?.ResponseHeaders ?? {}).flat(),
          },
  };
  return one.Gateway === undefined
    ? { node: proxyNode({ namespace, workload: name, labels: { app: name } }), call, service: to ?? '' }
    : { node: proxyNode({ namespace, workload: name, labels: { [GATEWAY_NAME_LABEL]: name }, gatewayPorts: {} }), call, service: undefined };
}

function simulated(world: World, one: ApiCase): Outcome {
  const { node, call, service } = askedProxy(world, one);
  return service === undefined ? atGateway(world, node, call) : throughUpstream(world, node, service, call);
}

/** What is simulated is answered 200; a backend that does something else is put in its place. */
function withBehavior(outcome: Outcome, { BackendBehavior: behavior, Failure }: ApiCase): Outcome {
  if (behavior === undefined || outcome.decision !== 'route' || outcome.status === 0) return outcome;
  const status = statusWith(outcome, behavior);
  return {
    ...outcome,
    status,
    ...(status === outcome.status || Failure !== undefined ? {} : { response: outcome.response && { ...outcome.response, status } }),
  };
}

function addressOf(world: World, service: string): string {
  const [namespace, name] = service.split('/');
  return world.services.find((one) => one.namespace === namespace && one.name === name)?.addresses[0] ?? '';
}

function certificateOf(world: World, secret: string): string {
  const [namespace, name] = secret.split('/');
  const found = world.others.find((one) => one.kind === 'Secret' && one.name === name && namespaceOf(one) === namespace);
  return found === undefined ? '' : secretText(found, 'tls.crt');
}

function judgeResponse(one: ApiCase, outcome: Outcome, said: string): Judged {
  const { StatusCodes, GrpcCode, Headers = {}, AbsentHeaders = [], ValidHeaderValues = {}, IgnoreWhitespace } = one.Response ?? {};
  const allowed = (StatusCodes ?? []).flatMap((code) => (TIMEOUTS.includes(code) ? TIMEOUTS : [code]));
  // Of bytes that are not looked into nobody knows the status.
  const unseen = outcome.status === 0 && outcome.request === null && (one.Scheme === 'tls' || one.Scheme === 'tcp');
  if (StatusCodes !== undefined && !unseen && !allowed.includes(outcome.status)) return `status ${outcome.status}, not ${StatusCodes.join(' or ')} (${said})`;
  if (GrpcCode !== undefined && (GRPC_CODES.get(outcome.status) ?? GRPC_UNKNOWN) !== GrpcCode) return `gRPC code of ${said}, not ${GrpcCode}`;
  const headers = outcome.response?.headers ?? {};
  for (const [name, value] of Object.entries(Headers))
    if (headers[name.toLowerCase()] !== value) return `response header ${name} is ${headers[name.toLowerCase()] ?? 'absent'}, not ${value}`;
  for (const name of AbsentHeaders) if (headers[name.toLowerCase()] !== undefined) return `response header ${name} is there: ${headers[name.toLowerCase()]}`;
  const normal = (text: string): string => (IgnoreWhitespace === true ? text.replaceAll(/\s/g, '') : text);
  for (const [name, values] of Object.entries(ValidHeaderValues)) {
    const found = headers[name.toLowerCase()];
    if (found === undefined || !values.some((value) => normal(value) === normal(found)))
      return `response header ${name} is ${found ?? 'absent'}, not ${values.join(' or ')}`;
  }
  return undefined;
}

function judgeRedirect({ RedirectRequest }: ApiCase, { location }: Outcome): Judged {
  if (RedirectRequest === undefined) return undefined;
  if (location === null) return 'it is not redirected';
  const url = new URL(location);
  const { Scheme, Host, Port, Path } = RedirectRequest;
  if (Scheme !== undefined && url.protocol !== `${Scheme}:`) return `redirected to ${location}, not to scheme ${Scheme}`;
  if (Host !== undefined && url.hostname !== Host) return `redirected to ${location}, not to host ${Host}`;
  // URL leaves out a scheme's own port, which may be written or not.
  const usual = url.protocol === 'https:' ? '443' : '80';
  if ((url.port || usual) !== (Port || usual)) return `redirected to ${location}, not to port ${Port ?? 'none'}`;
  if (Path !== undefined && url.pathname !== Path) return `redirected to ${location}, not to path ${Path}`;
  return undefined;
}

const isService = ({ host }: SimulatedDestination, name: string, namespace: string): boolean => host === `${name}.${namespace}.svc.cluster.local`;

function judgeBackends(one: ApiCase, { destinations }: Outcome, said: string): Judged {
  const namespace = one.Namespace ?? (one.Gateway ?? one.To ?? one.From ?? '').split('/')[0]!;
  const told = destinations.map(({ host, weight }) => `${host} (${weight.toFixed(1)} %)`).join(', ') || said;
  if (one.Weights !== undefined) {
    const all = Object.entries(one.Weights);
    for (const [name, share] of all) {
      const found = destinations.filter((destination) => isService(destination, name, namespace)).reduce((sum, { weight }) => sum + weight, 0);
      if (Math.abs(found - share * 100) > SHARE_TOLERANCE || (share === 0 && found > 0))
        return `${name} has ${found.toFixed(1)} %, not ${(share * 100).toFixed(1)} % (${told})`;
    }
    const other = destinations.find((destination) => destination.weight > 0 && !all.some(([name]) => isService(destination, name, namespace)));
    return other === undefined ? undefined : `it also goes to ${other.host}`;
  }
  if (one.Backend === undefined && one.Service === undefined) return undefined;
  const [serviceNamespace, serviceName] = one.Service?.split('/') ?? [namespace, one.Backend!];
  if (destinations.length > 0 && destinations.every((destination) => isService(destination, serviceName!, serviceNamespace!))) return undefined;
  return `it goes to ${told}, not to ${serviceName}.${serviceNamespace}`;
}

function judgeMirrors({ MirroredTo }: ApiCase, { mirrors }: Outcome): Judged {
  for (const { Name, Namespace, Percent = 100 } of MirroredTo ?? []) {
    const found = mirrors.find(({ host }) => host === `${Name}.${Namespace}.svc.cluster.local`);
    if (found === undefined || Math.abs(found.percent - Percent) > 0.01) return `${Name} gets ${found?.percent ?? 0} % of copies, not ${Percent} %`;
  }
  return undefined;
}

function judgeArrived(one: ApiCase, outcome: Outcome): Judged {
  const at = (destination: SimulatedDestination | undefined, expected: Expected): Judged => {
    const arrived = destination?.request ?? outcome.request;
    if (arrived !== null) return judgeSent(arrived, expected) ?? judgeTls(destination, expected, one, outcome.tlsTerminated);
    // Bytes that are not looked into arrive as they are.
    const as = { Headers: one.Request?.Headers ?? {}, ...one.Request };
    const changed = (['Host', 'Method', 'Path'] as const).find((name) => expected[name] !== undefined && as[name] !== undefined && expected[name] !== as[name]);
    return changed === undefined ? judgeTls(destination, expected, one, outcome.tlsTerminated) : `${changed} ${as[changed]} arrives, not ${expected[changed]}`;
  };
  if (one.ExpectedRequest !== undefined) {
    const why = at(outcome.destinations[0], one.ExpectedRequest);
    if (why !== undefined) return why;
  }
  for (const [name, expected] of Object.entries(one.ByBackend ?? {})) {
    const destination = outcome.destinations.find(({ host }) => host.startsWith(`${name}.`));
    const why = destination === undefined ? `${name} gets nothing` : at(destination, expected);
    if (why !== undefined) return `at ${name}: ${why}`;
  }
  return undefined;
}

function judgeSent(arrived: SentRequest, { Host, Method, Path, Headers = {}, AbsentHeaders = [] }: Expected): Judged {
  if (Host !== undefined && arrived.host !== Host) return `host ${arrived.host} arrives, not ${Host}`;
  if (Method !== undefined && arrived.method !== Method) return `method ${arrived.method} arrives, not ${Method}`;
  if (Path !== undefined && arrived.path !== Path) return `path ${arrived.path} arrives, not ${Path}`;
  for (const [name, value] of Object.entries(Headers))
    if (arrived.headers[name.toLowerCase()] !== value) return `header ${name} arrives as ${arrived.headers[name.toLowerCase()] ?? 'nothing'}, not ${value}`;
  for (const name of AbsentHeaders) if (arrived.headers[name.toLowerCase()] !== undefined) return `header ${name} arrives`;
  return undefined;
}

function judgeTls(destination: SimulatedDestination | undefined, { SNI, TLS, ClientCertificate }: Expected, one: ApiCase, tlsTerminated: boolean): Judged {
  // A connection that the gateway does not end arrives as its client made it.
  const through = one.Scheme === 'tls' && !tlsTerminated;
  const sni = through ? (one.Request?.SNI ?? one.Request?.Host ?? '') : (destination?.tls?.sni ?? '');
  const secure = through || (destination?.tls !== undefined && destination.tls.mode !== 'none' && destination.tls.mode !== 'mesh');
  if (TLS !== undefined && TLS !== secure) return `it arrives ${secure ? 'with' : 'without'} TLS`;
  if (SNI !== undefined && sni !== SNI) return `it arrives with the name ${sni || 'none'} in TLS, not ${SNI}`;
  const shown = destination?.tls?.clientCertificate ?? '';
  if (ClientCertificate !== undefined && shown !== ClientCertificate) return `the gateway shows ${shown || 'no certificate'}, not ${ClientCertificate}`;
  return undefined;
}
