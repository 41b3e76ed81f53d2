import { ResponseFlag } from '@outrigger/telemetry';
import {
  type LocalRateLimitDescriptor,
  VhRateLimitsOptions,
  XRateLimitHeadersRFCVersion,
} from '@outrigger/xds/protos/envoy/extensions/common/ratelimit/v3/ratelimit';
import { type LocalRateLimit, LocalRateLimitSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit';
import type { HeaderList, ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { compileFraction, type Fraction, NEVER } from '../../routing/fraction.ts';
import { compileHeaderMutations, type HeaderMutations } from '../../routing/header-mutations.ts';
import { setHeader } from '../../routing/headers.ts';
import { isGrpc } from '../../routing/route-match.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from '../http-filter.ts';
import type { ConnectionFacts } from '../rbac/rule.ts';
import { type Descriptor, type DescriptorEntry, RouteRateLimits } from './descriptors.ts';

import { compileTokenBucket, TokenBucket } from './token-bucket.ts';

const LOCAL = fieldPolicy(
  `status token_bucket filter_enabled filter_enforced request_headers_to_add_when_not_enforced response_headers_to_add descriptors stage
   local_rate_limit_per_downstream_connection enable_x_ratelimit_headers vh_rate_limits always_consume_default_token_bucket
   rate_limited_as_resource_exhausted`,
  'stat_prefix',
);
const RESOURCE_EXHAUSTED = '8';

interface DescriptorBucket {
  readonly entries: readonly DescriptorEntry[];
  readonly bucket: TokenBucket;
}

/** The buckets that requests are counted in: one set, or one for each connection. */
class Buckets {
  readonly whole: TokenBucket | null;
  readonly descriptors: readonly DescriptorBucket[];

  constructor(whole: TokenBucket | null, descriptors: readonly DescriptorBucket[]) {
    this.whole = whole;
    this.descriptors = descriptors;
  }

  /** With as many tokens as at first. */
  copy(): Buckets {
    const fresh = ({ maxTokens, tokensPerFill, fillIntervalMs }: TokenBucket): TokenBucket => new TokenBucket(maxTokens, tokensPerFill, fillIntervalMs);
    return new Buckets(
      this.whole === null ? null : fresh(this.whole),
      this.descriptors.map(({ entries, bucket }) => ({ entries, bucket: fresh(bucket) })),
    );
  }

  /** The bucket that decided, and whether it had a token. null: none is for this request. */
  take(asked: readonly Descriptor[], alwaysWhole: boolean, nowMs: number): { readonly allowed: boolean; readonly bucket: TokenBucket } | null {
    const matching = this.descriptors
      .filter(({ entries }) => asked.some((descriptor) => sameEntries(descriptor.entries, entries)))
      .map(({ bucket }) => bucket)
      // The slowest first: what it refuses costs the others nothing.
      .sort((a, b) => a.tokensPerFill / a.fillIntervalMs - b.tokensPerFill / b.fillIntervalMs);
    for (const bucket of matching) if (!bucket.take(1, nowMs)) return { allowed: false, bucket };
    if (this.whole !== null && (alwaysWhole || matching.length === 0)) {
      const allowed = this.whole.take(1, nowMs);
      if (!allowed || matching.length === 0) return { allowed, bucket: this.whole };
    }
    return matching.length === 0 ? null : { allowed: true, bucket: matching[0]! };
  }
}

function sameEntries(a: readonly DescriptorEntry[], b: readonly DescriptorEntry[]): boolean {
  return a.length === b.length && a.every(({ key, value }, i) => key === b[i]!.key && value === b[i]!.value);
}

interface LocalLimitFields {
  readonly status: number;
  readonly buckets: Buckets;
  readonly enabled: Fraction;
  readonly enforced: Fraction;
  readonly requestHeadersWhenNotEnforced: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
  readonly stage: number;
  readonly perConnection: boolean;
  readonly telling: boolean;
  readonly virtualHost: 'override' | 'include' | 'ignore';
  readonly alwaysWhole: boolean;
  readonly asResourceExhausted: boolean;
}

/** A policy with its tokens: shared by all requests that it holds for. */
class LocalLimit {
  readonly fields: LocalLimitFields;
  readonly #ofConnections = new WeakMap<ConnectionFacts, Buckets>();

  constructor(fields: LocalLimitFields) {
    this.fields = fields;
  }

  buckets(connection: ConnectionFacts): Buckets {
    if (!this.fields.perConnection) return this.fields.buckets;
    let own = this.#ofConnections.get(connection);
    if (own === undefined) {
      own = this.fields.buckets.copy();
      this.#ofConnections.set(connection, own);
    }
    return own;
  }
}

/** envoy.filters.http.local_ratelimit: so many requests, counted in this proxy alone. */
class LocalRateLimitFilter implements HttpFilter {
  readonly name: string;
  readonly #limit: LocalLimit;
  readonly #rules: RouteRateLimits | null;

  constructor(name: string, limit: LocalLimit, rules: RouteRateLimits | null) {
    this.name = name;
    this.#limit = limit;
    this.#rules = rules;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof LocalLimit);
    const rules = settings.find((setting) => setting instanceof RouteRateLimits);
    return own === undefined && rules === undefined ? this : new LocalRateLimitFilter(this.name, own ?? this.#limit, rules ?? null);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { fields } = this.#limit;
    if (!fields.enabled.holds(stream.services.random.uint32())) return PASS;
    const asked = this.#rules === null ? [] : this.#rules.descriptors(stream, fields.stage, fields.virtualHost);
    const nowMs = stream.services.nowMs();
    const taken = this.#limit.buckets(stream.connectionFacts).take(asked, fields.alwaysWhole, nowMs);
    if (taken === null) return PASS;
    if (fields.telling) stream.keep(this, taken.bucket);
    if (taken.allowed) return PASS;
    if (!fields.enforced.holds(stream.services.random.uint32())) {
      fields.requestHeadersWhenNotEnforced.apply(stream.head.headers, stream);
      return PASS;
    }
    const headers: HeaderList = [];
    fields.responseHeaders.apply(headers, stream);
    if (fields.asResourceExhausted && isGrpc(stream.head)) headers.push('grpc-status', RESOURCE_EXHAUSTED);
    return {
      kind: 'refuse',
      status: fields.status,
      body: 'local_rate_limited',
      details: 'local_rate_limited',
      flag: ResponseFlag.rateLimited,
      headers,
    };
  }

  /** draft-ietf-httpapi-ratelimit-headers-03, as Envoy names them. */
  onResponse(stream: FilteredStream, head: ResponseHead): void {
    if (!this.#limit.fields.telling) return;
    const bucket = stream.stateOf(this) as TokenBucket | undefined;
    if (bucket === undefined) return;
    const nowMs = stream.services.nowMs();
    setHeader(head.headers, 'x-ratelimit-limit', String(bucket.maxTokens));
    setHeader(head.headers, 'x-ratelimit-remaining', String(bucket.remaining(nowMs)));
    setHeader(head.headers, 'x-ratelimit-reset', String(Math.ceil(bucket.resetMs(nowMs) / 1000)));
  }
}

const VIRTUAL_HOST: Readonly<Record<VhRateLimitsOptions, 'override' | 'include' | 'ignore'>> = {
  [VhRateLimitsOptions.OVERRIDE]: 'override',
  [VhRateLimitsOptions.INCLUDE]: 'include',
  [VhRateLimitsOptions.IGNORE]: 'ignore',
};

function compileDescriptor(config: LocalRateLimitDescriptor, path: string, report: CompileReport): DescriptorBucket[] {
  if (config.entries.length === 0) report.error(`${path}.entries`, 'must not be empty');
  if (config.tokenBucket === undefined) {
    report.error(`${path}.token_bucket`, 'is missing');
    return [];
  }
  const entries = config.entries.map(({ key, value }, i) => {
    if (value === '') report.error(`${path}.entries[${i}].value`, 'a value for any (wildcard) is not supported by this proxy');
    return { key, value };
  });
  return [{ entries, bucket: compileTokenBucket(config.tokenBucket, `${path}.token_bucket`, report) }];
}

function compileLimit(config: LocalRateLimit, path: string, report: CompileReport): LocalLimit {
  checkFields(LocalRateLimitSchema, config, LOCAL, path, report);
  const status = config.status?.code ?? 0;
  return new LocalLimit({
    // As in Envoy, what is no error becomes 429.
    status: status >= 400 ? status : 429,
    buckets: new Buckets(
      config.tokenBucket === undefined ? null : compileTokenBucket(config.tokenBucket, `${path}.token_bucket`, report),
      config.descriptors.flatMap((descriptor, i) => compileDescriptor(descriptor, `${path}.descriptors[${i}]`, report)),
    ),
    enabled: compileFraction(config.filterEnabled?.defaultValue, NEVER),
    enforced: compileFraction(config.filterEnforced?.defaultValue, NEVER),
    requestHeadersWhenNotEnforced: compileHeaderMutations(
      config.requestHeadersToAddWhenNotEnforced,
      [],
      `${path}.request_headers_to_add_when_not_enforced`,
      '',
      report,
    ),
    responseHeaders: compileHeaderMutations(config.responseHeadersToAdd, [], `${path}.response_headers_to_add`, '', report),
    stage: config.stage,
    perConnection: config.localRateLimitPerDownstreamConnection,
    telling: config.enableXRatelimitHeaders === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
    virtualHost: VIRTUAL_HOST[config.vhRateLimits] ?? 'override',
    alwaysWhole: config.alwaysConsumeDefaultTokenBucket ?? true,
    asResourceExhausted: config.rateLimitedAsResourceExhausted,
  });
}

export const localRateLimitType: HttpFilterType = {
  typeName: LocalRateLimitSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, LocalRateLimitSchema, path, report);
    return config === undefined ? null : new LocalRateLimitFilter(name, compileLimit(config, path, report), null);
  },
  settings: {
    [LocalRateLimitSchema.typeName](any, path, report) {
      const config = unpack(any, LocalRateLimitSchema, path, report);
      return config === undefined ? null : compileLimit(config, path, report);
    },
  },
};
