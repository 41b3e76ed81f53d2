import type { CorsPolicy as RouteCorsPolicy } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { CorsPolicySchema, CorsSchema, type CorsPolicy as FilterCorsPolicy } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { ALWAYS, compileFraction, type Fraction } from '../routing/fraction.ts';
import { headerValue, removeHeader, setHeader } from '../routing/headers.ts';
import { compileStringMatcher, type TextMatcher } from '../routing/string-matcher.ts';
import { unpack } from '../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from './http-filter.ts';

export interface CorsFields {
  readonly origins: readonly TextMatcher[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly allowPrivateNetwork: boolean;
  /** Whether a preflight from an origin that is not allowed goes on to the application. */
  readonly forwardNotMatchingPreflights: boolean;
  readonly fraction: Fraction;
}

/** 'preflight': answered by the proxy (200 with `preflightHeaders`). 'actual': the response gets `responseHeaders`. */
export type CorsVerdict = 'none' | 'preflight' | 'preflight-refused' | 'actual';

/** CORS (WHATWG Fetch section 3.2) as Envoy's filter does it. */
export class CorsPolicy {
  readonly enabled: boolean;
  readonly #fields: CorsFields;

  constructor(fields: CorsFields) {
    this.#fields = fields;
    this.enabled = fields.fraction.ratio > 0;
  }

  /** 'preflight-refused': answered with 200 and no origin that is allowed, as Envoy does unless it forwards such requests. */
  decide(head: RequestHead, random: number): CorsVerdict {
    const fields = this.#fields;
    if (!this.enabled || !fields.fraction.holds(random)) return 'none';
    const origin = headerValue(head.headers, 'origin');
    if (origin === undefined || origin === '') return 'none';
    const allowed = fields.origins.some((matcher) => matcher.matches(origin));
    const preflight = head.method === 'OPTIONS' && headerValue(head.headers, 'access-control-request-method') !== undefined;
    if (preflight) return allowed ? 'preflight' : fields.forwardNotMatchingPreflights ? 'none' : 'preflight-refused';
    return allowed ? 'actual' : 'none';
  }

  /** An origin that is not allowed is told all but that it is. */
  preflightHeaders(head: RequestHead, allowed = true): HeaderList {
    const fields = this.#fields;
    const headers: HeaderList = [];
    if (allowed) headers.push('access-control-allow-origin', headerValue(head.headers, 'origin') ?? '');
    if (fields.allowCredentials) headers.push('access-control-allow-credentials', 'true');
    if (fields.allowPrivateNetwork && headerValue(head.headers, 'access-control-request-private-network') === 'true') {
      headers.push('access-control-allow-private-network', 'true');
    }
    const methods = asAsked(fields.allowMethods, head, 'access-control-request-method');
    if (methods !== '') headers.push('access-control-allow-methods', methods);
    const names = asAsked(fields.allowHeaders, head, 'access-control-request-headers');
    if (names !== '') headers.push('access-control-allow-headers', names);
    if (fields.maxAge !== '') headers.push('access-control-max-age', fields.maxAge);
    if (allowed && fields.exposeHeaders !== '') headers.push('access-control-expose-headers', fields.exposeHeaders);
    return headers;
  }

  /** For 'actual': what the application itself said about CORS gives way. */
  applyToResponse(head: RequestHead, headers: HeaderList): void {
    const fields = this.#fields;
    setHeader(headers, 'access-control-allow-origin', headerValue(head.headers, 'origin') ?? '');
    if (fields.allowCredentials) setHeader(headers, 'access-control-allow-credentials', 'true');
    else removeHeader(headers, 'access-control-allow-credentials');
    if (fields.exposeHeaders !== '') setHeader(headers, 'access-control-expose-headers', fields.exposeHeaders);
  }
}

/** "*" is what the browser asks for: with credentials it would take the star for a name. */
function asAsked(allowed: string, head: RequestHead, header: string): string {
  return allowed === '*' ? (headerValue(head.headers, header) ?? '') : allowed;
}

/** The filter's per-route message, or the older one of RouteAction and VirtualHost. */
export function compileCors(config: FilterCorsPolicy | RouteCorsPolicy, path: string, report: CompileReport): CorsPolicy {
  const enabled = 'enabledSpecifier' in config ? config.enabledSpecifier.value : config.filterEnabled;
  if (config.shadowEnabled !== undefined) report.ignore(`${path}.shadow_enabled`);
  return new CorsPolicy({
    origins: config.allowOriginStringMatch.map((matcher, index) => compileStringMatcher(matcher, `${path}.allow_origin_string_match[${index}]`, report)),
    allowMethods: config.allowMethods,
    allowHeaders: config.allowHeaders,
    exposeHeaders: config.exposeHeaders,
    maxAge: config.maxAge,
    allowCredentials: config.allowCredentials ?? false,
    allowPrivateNetwork: config.allowPrivateNetworkAccess ?? false,
    forwardNotMatchingPreflights: config.forwardNotMatchingPreflights ?? true,
    fraction: compileFraction(enabled?.defaultValue, ALWAYS),
  });
}

/** envoy.filters.http.cors: heeds the policy of the route; without one it does nothing. */
class CorsFilter implements HttpFilter {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const policy = settings.find((setting) => setting instanceof CorsPolicy);
    return policy === undefined || !policy.enabled ? this : new RouteCorsFilter(this.name, policy);
  }
}

/** As in Envoy: what a route answers itself, nobody's browser is let read. */
function forwards({ route }: FilteredStream): boolean {
  return route?.kind === 'forward';
}

class RouteCorsFilter extends CorsFilter {
  readonly #policy: CorsPolicy;

  constructor(name: string, policy: CorsPolicy) {
    super(name);
    this.#policy = policy;
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { head } = stream;
    const verdict = forwards(stream) ? this.#policy.decide(head, stream.dice) : 'none';
    if (verdict === 'none' || verdict === 'actual') return PASS;
    return { kind: 'answer', status: 200, headers: this.#policy.preflightHeaders(head, verdict === 'preflight'), details: 'cors_response', asItIs: true };
  }

  onResponse(stream: FilteredStream, head: ResponseHead): void {
    if (forwards(stream) && this.#policy.decide(stream.head, stream.dice) === 'actual') this.#policy.applyToResponse(stream.head, head.headers);
  }
}

export const corsType: HttpFilterType = {
  typeName: CorsSchema.typeName,
  compile: (_any, name) => new CorsFilter(name),
  settings: {
    [CorsPolicySchema.typeName](any, path, report) {
      const policy = unpack(any, CorsPolicySchema, path, report);
      return policy === undefined ? null : compileCors(policy, path, report);
    },
  },
};
