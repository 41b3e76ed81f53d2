import { ResponseFlag } from '@outrigger/telemetry';
import { type HTTPFault, HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import type { RequestHead } from '../http/message.ts';
import { grpcToHttpStatus } from '../resilience/outlier-detection.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { durationMs } from '../routing/duration.ts';
import { compileFraction, type Fraction, NEVER } from '../routing/fraction.ts';
import { allMatchRequest, compileHeaderMatchers, type HeaderMatcher } from '../routing/header-matcher.ts';
import { headerValue } from '../routing/headers.ts';
import { checkFields, fieldPolicy, unpack } from '../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from './http-filter.ts';

const DELAY_HEADER = 'x-envoy-fault-delay-request';
const DELAY_PERCENT_HEADER = 'x-envoy-fault-delay-request-percentage';
const ABORT_HEADER = 'x-envoy-fault-abort-request';
const ABORT_GRPC_HEADER = 'x-envoy-fault-abort-grpc-request';
const ABORT_PERCENT_HEADER = 'x-envoy-fault-abort-request-percentage';

export interface FaultFields {
  readonly delayMs: number;
  readonly delayFraction: Fraction;
  /** The caller's header says how long. */
  readonly delayByHeader: boolean;
  /** 0: none. */
  readonly abortStatus: number;
  /** -1: none. */
  readonly abortGrpcStatus: number;
  readonly abortFraction: Fraction;
  readonly abortByHeader: boolean;
  readonly headers: readonly HeaderMatcher[];
  /** '': any. */
  readonly upstreamCluster: string;
}

/** envoy.extensions.filters.http.fault.v3.HTTPFault. The caller holds back and aborts; this decides. */
export class FaultPolicy {
  readonly enabled: boolean;
  readonly #fields: FaultFields;

  constructor(fields: FaultFields) {
    this.#fields = fields;
    this.enabled = fields.delayFraction.ratio > 0 || fields.abortFraction.ratio > 0;
  }

  /** Whether the policy looks at this request at all. */
  appliesTo(head: RequestHead, cluster: string): boolean {
    if (!this.enabled) return false;
    const fields = this.#fields;
    return (fields.upstreamCluster === '' || fields.upstreamCluster === cluster) && allMatchRequest(fields.headers, head);
  }

  /** How long to hold the request back, ms; 0: not at all (flag DI otherwise). `random` is uniform in [0, 2^32). */
  delayMs(head: RequestHead, random: number): number {
    const fields = this.#fields;
    if (!holds(fields.delayFraction, fields.delayByHeader ? head : null, DELAY_PERCENT_HEADER, random)) return 0;
    return fields.delayByHeader ? Math.max(0, wholeNumber(head, DELAY_HEADER)) : fields.delayMs;
  }

  /** Whether to answer instead of the application (flag FI): `abortStatus` and `abortGrpcStatus` say with what. */
  aborts(head: RequestHead, random: number): boolean {
    const fields = this.#fields;
    if (!holds(fields.abortFraction, fields.abortByHeader ? head : null, ABORT_PERCENT_HEADER, random)) return false;
    return this.abortStatus(head) !== 0 || this.abortGrpcStatus(head) >= 0;
  }

  /** HTTP status; 0: a gRPC status is given instead. */
  abortStatus(head: RequestHead): number {
    if (!this.#fields.abortByHeader) return this.#fields.abortStatus;
    const status = wholeNumber(head, ABORT_HEADER);
    return status >= 200 && status < 600 ? status : 0;
  }

  /** -1: none. */
  abortGrpcStatus(head: RequestHead): number {
    return this.#fields.abortByHeader ? wholeNumber(head, ABORT_GRPC_HEADER) : this.#fields.abortGrpcStatus;
  }
}

/** Whole number of a header, or -1. */
function wholeNumber(head: RequestHead, name: string): number {
  const text = headerValue(head.headers, name);
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : -1;
}

/** A caller's percentage may only make faults rarer. */
function holds(fraction: Fraction, head: RequestHead | null, percentHeader: string, random: number): boolean {
  if (!fraction.holds(random)) return false;
  const percent = head === null ? -1 : wholeNumber(head, percentHeader);
  return percent < 0 || random < (Math.min(percent, 100) / 100) * 0x1_0000_0000;
}

// A fault that is not the one asked for would be worse than none.
const FAULT = fieldPolicy(
  'delay abort upstream_cluster headers',
  `max_active_faults delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime max_active_faults_runtime
   response_rate_limit_percent_runtime abort_grpc_status_runtime disable_downstream_cluster_stats filter_metadata`,
);

export function compileFault(config: HTTPFault, path: string, report: CompileReport): FaultPolicy {
  const delay = config.delay?.faultDelaySecifier;
  const abort = config.abort?.errorType;
  checkFields(HTTPFaultSchema, config, FAULT, path, report);
  if (abort?.case === 'httpStatus' && (abort.value < 200 || abort.value > 599)) report.error(`${path}.abort.http_status`, 'must be between 200 and 599');
  return new FaultPolicy({
    delayMs: delay?.case === 'fixedDelay' ? durationMs(delay.value, 0) : 0,
    // An absent percentage is Envoy's zero: no fault.
    delayFraction: config.delay === undefined ? NEVER : compileFraction(config.delay.percentage, NEVER),
    delayByHeader: delay?.case === 'headerDelay',
    abortStatus: abort?.case === 'httpStatus' ? abort.value : 0,
    abortGrpcStatus: abort?.case === 'grpcStatus' ? abort.value : -1,
    abortFraction: config.abort === undefined ? NEVER : compileFraction(config.abort.percentage, NEVER),
    abortByHeader: abort?.case === 'headerAbort',
    headers: compileHeaderMatchers(config.headers, `${path}.headers`, report),
    upstreamCluster: config.upstreamCluster,
  });
}

/** envoy.filters.http.fault: holds requests back, or answers in the application's place. */
class FaultFilter implements HttpFilter {
  readonly name: string;
  readonly #policy: FaultPolicy;

  constructor(name: string, policy: FaultPolicy) {
    this.name = name;
    this.#policy = policy;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof FaultPolicy);
    return own === undefined ? this : new FaultFilter(this.name, own);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    if (!this.#policy.enabled || !this.#applies(stream)) return PASS;
    const delayMs = this.#policy.delayMs(stream.head, stream.services.random.uint32());
    if (delayMs <= 0) return this.#abort(stream);
    stream.responseFlags |= ResponseFlag.delayInjected;
    return { kind: 'delay', delayMs };
  }

  afterDelay(stream: FilteredStream): FilterVerdict {
    return this.#abort(stream);
  }

  #applies(stream: FilteredStream): boolean {
    const { head, route } = stream;
    return this.#policy.appliesTo(head, route !== null && route.kind === 'forward' ? route.pickCluster(head, stream.dice).clusterName(head) : '');
  }

  #abort({ head, services }: FilteredStream): FilterVerdict {
    const policy = this.#policy;
    if (!policy.aborts(head, services.random.uint32())) return PASS;
    const status = policy.abortStatus(head);
    return {
      kind: 'refuse',
      status: status === 0 ? grpcToHttpStatus(policy.abortGrpcStatus(head)) : status,
      body: 'fault filter abort',
      details: 'fault_filter_abort',
      flag: ResponseFlag.faultInjected,
    };
  }
}

export const faultType: HttpFilterType = {
  typeName: HTTPFaultSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, HTTPFaultSchema, path, report);
    return config === undefined ? null : new FaultFilter(name, compileFault(config, path, report));
  },
  settings: {
    [HTTPFaultSchema.typeName](any, path, report) {
      const config = unpack(any, HTTPFaultSchema, path, report);
      return config === undefined ? null : compileFault(config, path, report);
    },
  },
};
