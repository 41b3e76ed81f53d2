import { create, type JsonObject } from '@bufbuild/protobuf';
import { ResponseFlag } from '@outrigger/telemetry';
import { RateLimitDescriptorSchema } from '@outrigger/xds/protos/envoy/extensions/common/ratelimit/v3/ratelimit';
import {
  type RateLimit,
  RateLimit_XRateLimitHeadersRFCVersion,
  RateLimitPerRoute_VhRateLimitsOptions,
  RateLimitPerRouteSchema,
  RateLimitSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/ratelimit/v3/rate_limit';
import {
  RateLimitRequestSchema,
  type RateLimitResponse,
  RateLimitResponse_Code,
  type RateLimitResponse_DescriptorStatus,
  RateLimitResponse_RateLimit_Unit,
  RateLimitResponseSchema,
} from '@outrigger/xds/protos/envoy/service/ratelimit/v3/rls';
import type { HeaderList, ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { compileHeaderMutations, type HeaderMutations } from '../../routing/header-mutations.ts';
import { headerValue, setHeader } from '../../routing/headers.ts';
import { isGrpc } from '../../routing/route-match.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { callGrpc, compileGrpcTarget, type GrpcAnswer, type GrpcTarget } from '../call/grpc-call.ts';
import { type Cancellable, type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from '../http-filter.ts';
import { type Descriptor, RouteRateLimits } from './descriptors.ts';

const FILTER = fieldPolicy(
  `domain stage request_type timeout failure_mode_deny rate_limited_as_resource_exhausted rate_limit_service enable_x_ratelimit_headers
   disable_x_envoy_ratelimited_header rate_limited_status response_headers_to_add status_on_error`,
  'stat_prefix',
);
const PER_ROUTE = fieldPolicy('vh_rate_limits override_option domain');
const DEFAULT_TIMEOUT_MS = 20;
const PATH = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
const RESOURCE_EXHAUSTED = '8';

type VirtualHostLimits = 'override' | 'include' | 'ignore';

interface GlobalLimitFields {
  readonly domain: string;
  readonly stage: number;
  /** Whose requests are counted: those with x-envoy-internal, the others, or all. */
  readonly requests: 'internal' | 'external' | 'both';
  readonly target: GrpcTarget;
  readonly failureModeDeny: boolean;
  readonly statusOnError: number;
  readonly asResourceExhausted: boolean;
  readonly telling: boolean;
  readonly ratelimitedHeader: boolean;
  readonly status: number;
  readonly responseHeaders: HeaderMutations;
}

/** RateLimitPerRoute. */
class RouteLimits {
  readonly domain: string;
  readonly virtualHost: VirtualHostLimits;
  constructor(domain: string, virtualHost: VirtualHostLimits) {
    this.domain = domain;
    this.virtualHost = virtualHost;
  }
}

/** envoy.filters.http.ratelimit: a rate limit service counts, for many proxies together. */
class GlobalRateLimitFilter implements HttpFilter {
  readonly name: string;
  readonly fields: GlobalLimitFields;
  readonly #rules: RouteRateLimits | null;
  readonly #route: RouteLimits;

  constructor(name: string, fields: GlobalLimitFields, rules: RouteRateLimits | null, route: RouteLimits) {
    this.name = name;
    this.fields = fields;
    this.#rules = rules;
    this.#route = route;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const rules = settings.find((setting) => setting instanceof RouteRateLimits);
    return rules === undefined
      ? this
      : new GlobalRateLimitFilter(this.name, this.fields, rules, settings.find((one) => one instanceof RouteLimits) ?? this.#route);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { requests, stage, domain } = this.fields;
    if (this.#rules === null) return PASS;
    if (requests !== 'both' && (headerValue(stream.head.headers, 'x-envoy-internal') === 'true') !== (requests === 'internal')) return PASS;
    const descriptors = this.#rules.descriptors(stream, stage, this.#route.virtualHost);
    if (descriptors.length === 0) return PASS;
    const check = new LimitCheck(this, stream);
    check.start(this.#route.domain === '' ? domain : this.#route.domain, descriptors);
    return { kind: 'wait', pending: check };
  }

  onResponse(stream: FilteredStream, head: ResponseHead): void {
    const given = stream.stateOf(this) as HeaderList | undefined;
    if (given !== undefined) for (let i = 0; i < given.length; i += 2) setHeader(head.headers, given[i]!, given[i + 1]!);
  }
}

class LimitCheck implements GrpcAnswer<typeof RateLimitResponseSchema>, Cancellable {
  readonly #filter: GlobalRateLimitFilter;
  readonly #stream: FilteredStream;
  #call: Cancellable | null = null;

  constructor(filter: GlobalRateLimitFilter, stream: FilteredStream) {
    this.#filter = filter;
    this.#stream = stream;
  }

  start(domain: string, descriptors: readonly Descriptor[]): void {
    const request = create(RateLimitRequestSchema, {
      domain,
      descriptors: descriptors.map(({ entries }) => create(RateLimitDescriptorSchema, { entries: entries.map(({ key, value }) => ({ key, value })) })),
    });
    this.#call = callGrpc(this.#stream.services, this.#filter.fields.target, PATH, RateLimitRequestSchema, request, RateLimitResponseSchema, this);
  }

  cancel(): void {
    this.#call?.cancel();
  }

  onMessage(answer: RateLimitResponse): void {
    const stream = this.#stream;
    const { fields, name } = this.#filter;
    if (answer.dynamicMetadata !== undefined) {
      stream.dynamicMetadata ??= new Map();
      stream.dynamicMetadata.set(name, answer.dynamicMetadata as JsonObject);
    }
    const headers: HeaderList = answer.responseHeadersToAdd.flatMap(({ key, value }) => [key.toLowerCase(), value]);
    if (fields.telling) headers.push(...tellingHeaders(answer.statuses));
    if (answer.overallCode === RateLimitResponse_Code.OVER_LIMIT) {
      if (fields.ratelimitedHeader) headers.push('x-envoy-ratelimited', 'true');
      fields.responseHeaders.apply(headers, stream);
      if (fields.asResourceExhausted && isGrpc(stream.head)) headers.push('grpc-status', RESOURCE_EXHAUSTED);
      const body = Buffer.from(answer.rawBody).toString();
      stream.goOn({ kind: 'refuse', status: fields.status, body, details: 'request_rate_limited', flag: ResponseFlag.rateLimited, headers });
      return;
    }
    for (const { key, value } of answer.requestHeadersToAdd) stream.head.headers.push(key.toLowerCase(), value);
    if (headers.length > 0) stream.keep(this.#filter, headers);
    stream.goOn(PASS);
  }

  onError(): void {
    const { failureModeDeny, statusOnError } = this.#filter.fields;
    if (!failureModeDeny) this.#stream.goOn(PASS);
    else this.#stream.goOn({ kind: 'refuse', status: statusOnError, body: '', details: 'rate_limiter_error', flag: ResponseFlag.rateLimitServiceError });
  }
}

const UNIT_SECONDS: Readonly<Record<number, number>> = {
  [RateLimitResponse_RateLimit_Unit.SECOND]: 1,
  [RateLimitResponse_RateLimit_Unit.MINUTE]: 60,
  [RateLimitResponse_RateLimit_Unit.HOUR]: 3_600,
  [RateLimitResponse_RateLimit_Unit.DAY]: 86_400,
  [RateLimitResponse_RateLimit_Unit.MONTH]: 2_592_000,
  [RateLimitResponse_RateLimit_Unit.YEAR]: 31_536_000,
};

/** draft-ietf-httpapi-ratelimit-headers-03: of the limit that is nearest to its end. */
function tellingHeaders(statuses: readonly RateLimitResponse_DescriptorStatus[]): HeaderList {
  const limited = statuses.filter(({ currentLimit }) => currentLimit !== undefined);
  if (limited.length === 0) return [];
  const nearest = limited.reduce((best, one) => (one.limitRemaining < best.limitRemaining ? one : best));
  const quotas = limited.map(({ currentLimit }) => {
    const { requestsPerUnit, unit, name } = currentLimit!;
    return `${requestsPerUnit};w=${UNIT_SECONDS[unit] ?? 0}${name === '' ? '' : `;name="${name}"`}`;
  });
  return [
    'x-ratelimit-limit',
    [String(nearest.currentLimit!.requestsPerUnit), ...quotas].join(', '),
    'x-ratelimit-remaining',
    String(nearest.limitRemaining),
    'x-ratelimit-reset',
    String(nearest.durationUntilReset?.seconds ?? 0n),
  ];
}

function compile(config: RateLimit, path: string, context: Parameters<HttpFilterType['compile']>[3], report: CompileReport): GlobalLimitFields {
  checkFields(RateLimitSchema, config, FILTER, path, report);
  if (config.domain === '') report.error(`${path}.domain`, 'must not be empty');
  if (!['', 'internal', 'external', 'both'].includes(config.requestType)) report.error(`${path}.request_type`, 'must be internal, external or both');
  const target = compileGrpcTarget(config.rateLimitService?.grpcService, DEFAULT_TIMEOUT_MS, `${path}.rate_limit_service.grpc_service`, context, report);
  const status = config.rateLimitedStatus?.code ?? 0;
  const onError = config.statusOnError?.code ?? 0;
  return {
    domain: config.domain,
    stage: config.stage,
    requests: config.requestType === 'internal' || config.requestType === 'external' ? config.requestType : 'both',
    target: { ...target, timeoutMs: durationMs(config.timeout, DEFAULT_TIMEOUT_MS) },
    failureModeDeny: config.failureModeDeny,
    statusOnError: onError === 0 ? 500 : onError,
    asResourceExhausted: config.rateLimitedAsResourceExhausted,
    telling: config.enableXRatelimitHeaders === RateLimit_XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
    ratelimitedHeader: !config.disableXEnvoyRatelimitedHeader,
    status: status >= 400 ? status : 429,
    responseHeaders: compileHeaderMutations(config.responseHeadersToAdd, [], `${path}.response_headers_to_add`, '', report),
  };
}

const VIRTUAL_HOST: Readonly<Record<RateLimitPerRoute_VhRateLimitsOptions, VirtualHostLimits>> = {
  [RateLimitPerRoute_VhRateLimitsOptions.OVERRIDE]: 'override',
  [RateLimitPerRoute_VhRateLimitsOptions.INCLUDE]: 'include',
  [RateLimitPerRoute_VhRateLimitsOptions.IGNORE]: 'ignore',
};

export const globalRateLimitType: HttpFilterType = {
  typeName: RateLimitSchema.typeName,
  compile(any, name, path, context, report) {
    const config = unpack(any, RateLimitSchema, path, report);
    return config === undefined ? null : new GlobalRateLimitFilter(name, compile(config, path, context, report), null, new RouteLimits('', 'override'));
  },
  settings: {
    [RateLimitPerRouteSchema.typeName](any, path, report) {
      const config = unpack(any, RateLimitPerRouteSchema, path, report);
      if (config === undefined) return null;
      checkFields(RateLimitPerRouteSchema, config, PER_ROUTE, path, report);
      return new RouteLimits(config.domain, VIRTUAL_HOST[config.vhRateLimits] ?? 'override');
    },
  },
};
