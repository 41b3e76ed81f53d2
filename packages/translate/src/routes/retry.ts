import type { JsonObject } from '@bufbuild/protobuf';
import type { HttpRetry, Resource } from '@outrigger/resources';
import { durationMs } from '@outrigger/resources';
import type { HeaderMatcher, RetryPolicySchema, RouteMatch } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { PreviousHostsPredicateSchema } from '@outrigger/xds/protos/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts';
import { durationOf } from '../durations.ts';
import { filter, type Init, milliseconds } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { HeaderMatcherInit, RouteMatchInit } from './match.ts';

export type RetryPolicyInit = Init<typeof RetryPolicySchema>;

/** The mesh's own retries (docs/xds.md, design section 5). */
const DEFAULT_RETRY_ON = '5xx,reset,connect-failure,refused-stream';
/**
 * The same for an Envoy, which cannot tell that a 500 stands for a call that was given up further down (docs/adr/0003): an application's own 500 is
 * not asked for again, so that a chain does not multiply its tries.
 */
const ENVOY_RETRY_ON = 'gateway-error,reset,connect-failure,refused-stream';
/** Conditions under which the request cannot have reached the application. */
const UNSENT_RETRY_ON = 'connect-failure,refused-stream';
const DEFAULT_RETRIES = 3;
const BACKOFF_BASE_MS = 25;
const BACKOFF_MAX_MS = 250;
const CONNECT_TIMEOUT_RETRIES = 1;
const HOST_SELECTION_ATTEMPTS = 5n;
/** Methods whose repetition does no harm (RFC 9110 9.2.2). */
const IDEMPOTENT_METHODS = 'GET|HEAD|OPTIONS|TRACE|PUT|DELETE';
export const IDEMPOTENCY_KEY = 'idempotency-key';

const GRPC_RETRY_ON = new Set(['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable']);

export interface Retry {
  readonly policy: RetryPolicyInit;
  /** filter_metadata["outrigger.dev"].retry */
  readonly metadata: JsonObject;
  readonly idempotentOnly: boolean;
}

function previousHosts(): RetryPolicyInit['retryHostPredicate'] & object {
  return [filter('envoy.retry_host_predicates.previous_hosts', PreviousHostsPredicateSchema)];
}

/** Retries of a route of a VirtualService, or (of one that says nothing of them) the mesh's; undefined: none. */
export function retryOf(reader: Reader, owner: Resource | undefined, field: string, retries: HttpRetry | undefined): Retry | undefined {
  const grpc = reader.node.dataPlane === 'grpc';
  const written = retries ?? reader.settings.defaultRetries;
  if (written === undefined) {
    // gRPC's own transparent retries cover what the server has not seen; more would repeat calls that may have been carried out.
    if (grpc) return undefined;
    return {
      policy: {
        retryOn: reader.node.dataPlane === 'envoy' ? ENVOY_RETRY_ON : DEFAULT_RETRY_ON,
        numRetries: DEFAULT_RETRIES,
        retryHostPredicate: previousHosts(),
        hostSelectionRetryMaxAttempts: HOST_SELECTION_ATTEMPTS,
        retryBackOff: backOff(),
      },
      metadata: { idempotentOnly: true, connectTimeoutRetries: CONNECT_TIMEOUT_RETRIES },
      idempotentOnly: true,
    };
  }
  const attempts = written.attempts ?? DEFAULT_RETRIES;
  if (attempts <= 0) return undefined;
  // What the mesh's settings say stands in no resource.
  const noted = retries === undefined ? undefined : owner;
  const perTryTimeout = noted === undefined ? meshDuration(written.perTryTimeout) : durationOf(reader, noted, `${field}.perTryTimeout`, written.perTryTimeout);
  const base = written.backoff === undefined ? undefined : durationMs(written.backoff);
  const { retryOn, codes } = conditions(reader, noted, `${field}.retryOn`, written.retryOn);
  if (grpc && perTryTimeout !== undefined && noted !== undefined)
    reader.ignored(noted, `${field}.perTryTimeout`, 'gRPC clients have no timeout per attempt', 'grpc');
  return {
    policy: {
      retryOn,
      numRetries: attempts,
      ...(codes.length === 0 ? {} : { retriableStatusCodes: codes }),
      ...(perTryTimeout === undefined ? {} : { perTryTimeout }),
      ...(written.retryIgnorePreviousHosts === false ? {} : { retryHostPredicate: previousHosts(), hostSelectionRetryMaxAttempts: HOST_SELECTION_ATTEMPTS }),
      retryBackOff: backOff(base),
    },
    metadata: { idempotentOnly: false, connectTimeoutRetries: CONNECT_TIMEOUT_RETRIES },
    idempotentOnly: false,
  };
}

function backOff(baseMs?: number): RetryPolicyInit['retryBackOff'] & object {
  const base = baseMs === undefined || baseMs < 1 ? BACKOFF_BASE_MS : baseMs;
  return { baseInterval: milliseconds(base), maxInterval: milliseconds(baseMs === undefined ? BACKOFF_MAX_MS : base * 10) };
}

function meshDuration(text: string | undefined) {
  const ms = text === undefined ? undefined : durationMs(text);
  return ms === undefined ? undefined : milliseconds(ms);
}

function conditions(reader: Reader, owner: Resource | undefined, field: string, text: string | undefined): { retryOn: string; codes: number[] } {
  const grpc = reader.node.dataPlane === 'grpc';
  const words = (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const codes = words.filter((word) => /^[1-5]\d\d$/.test(word)).map(Number);
  const names = words.filter((word) => !/^\d+$/.test(word));
  if (grpc) {
    const known = names.filter((name) => GRPC_RETRY_ON.has(name));
    if (words.length > known.length && owner !== undefined) reader.differs(owner, field, `gRPC clients retry only on ${[...GRPC_RETRY_ON].join(', ')}`, 'grpc');
    return { retryOn: known.length > 0 ? known.join(',') : 'unavailable', codes: [] };
  }
  if (words.length === 0) return { retryOn: DEFAULT_RETRY_ON, codes: [] };
  if (codes.length > 0 && !names.includes('retriable-status-codes')) names.push('retriable-status-codes');
  return { retryOn: names.join(','), codes };
}

/**
 * Envoy cannot retry by idempotency: the route becomes up to three, of which requests that may be repeated take the one
 * with all conditions and the others one with those under which nothing was sent.
 */
export function splitByIdempotency<T>(match: RouteMatchInit, policy: RetryPolicyInit, make: (match: RouteMatchInit, policy: RetryPolicyInit) => T): T[] {
  const narrowed = (matcher: HeaderMatcherInit): T => make({ ...match, headers: [...(match.headers ?? []), matcher] }, policy);
  return [
    narrowed({
      name: ':method',
      headerMatchSpecifier: { case: 'stringMatch', value: { matchPattern: { case: 'safeRegex', value: { regex: IDEMPOTENT_METHODS } } } },
    }),
    narrowed({ name: IDEMPOTENCY_KEY, headerMatchSpecifier: { case: 'presentMatch', value: true } }),
    make(match, { ...policy, retryOn: UNSENT_RETRY_ON }),
  ];
}

/** What a match asks of headers by itself, and not because its route was split. */
export function ownHeaders({ headers }: Pick<RouteMatch, 'headers'>): readonly HeaderMatcher[] {
  const last = headers.at(-1);
  const specifier = last?.headerMatchSpecifier;
  const pattern = specifier?.case === 'stringMatch' ? specifier.value.matchPattern : undefined;
  const narrowed =
    (last?.name === ':method' && pattern?.case === 'safeRegex' && pattern.value.regex === IDEMPOTENT_METHODS) ||
    (last?.name === IDEMPOTENCY_KEY && specifier?.case === 'presentMatch');
  return narrowed ? headers.slice(0, -1) : headers;
}
