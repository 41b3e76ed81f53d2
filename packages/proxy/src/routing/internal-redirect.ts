import type { TypedExtensionConfig } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import { InternalRedirectPolicySchema, type InternalRedirectPolicy as PolicyConfig } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { AllowListedRoutesConfigSchema } from '@outrigger/xds/protos/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config';
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from '../xds/fields.ts';
import type { CompileReport } from './compile-result.ts';
import { headerValue, removeHeader, setHeader } from './headers.ts';

const REDIRECT_CODES = [301, 302, 303, 307, 308];
const POLICY = fieldPolicy('max_internal_redirects redirect_response_codes predicates allow_cross_scheme_redirect response_headers_to_copy');
/** "scheme://host/path?query"; what follows "#" is the client's own affair. */
const ABSOLUTE = /^(https?):\/\/([^/?#\s@]+)([^#\s]*)/i;

/** Where a redirect of an upstream's leads. */
export interface RedirectTarget {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}

interface PolicyFields {
  readonly maxRedirects: number;
  readonly codes: ReadonlySet<number>;
  readonly crossScheme: boolean;
  /** Lower case. */
  readonly headersToCopy: readonly string[];
  /** Names of routes that may be gone to; null: all. */
  readonly allowed: ReadonlySet<string> | null;
  /** No route is gone to twice. */
  readonly oncePerRoute: boolean;
  /** Never from plain text to TLS. */
  readonly safeCrossScheme: boolean;
}

/** envoy.config.route.v3.InternalRedirectPolicy: redirects of an upstream that the proxy follows itself. */
export class InternalRedirectPolicy {
  readonly #fields: PolicyFields;

  constructor(fields: PolicyFields) {
    this.#fields = fields;
  }

  /** null: the answer is passed on. `followed`: redirects that the request has followed so far. */
  targetOf(head: RequestHead, response: ResponseHead, followed: number): RedirectTarget | null {
    const fields = this.#fields;
    if (!fields.codes.has(response.status) || followed >= fields.maxRedirects) return null;
    const match = ABSOLUTE.exec(headerValue(response.headers, 'location') ?? '');
    if (match === null) return null;
    const scheme = match[1]!.toLowerCase();
    if (scheme !== head.scheme && (!fields.crossScheme || (fields.safeCrossScheme && scheme === 'https'))) return null;
    const rest = match[3]!;
    return { scheme, authority: match[2]!, path: rest.startsWith('/') ? rest : `/${rest}` };
  }

  /** Whether a route may be gone to; `before`: those that this request was sent to by redirects. */
  acceptsRoute(name: string, before: ReadonlySet<string>): boolean {
    const { allowed, oncePerRoute } = this.#fields;
    return (allowed === null || allowed.has(name)) && !(oncePerRoute && before.has(name));
  }

  /** The answer's headers that go with the request; those that it lacks go from the request. */
  copyHeaders(headers: HeaderList, response: ResponseHead): void {
    for (const name of this.#fields.headersToCopy) {
      const value = headerValue(response.headers, name);
      if (value === undefined) removeHeader(headers, name);
      else setHeader(headers, name, value);
    }
  }
}

/** The older way to say it (internal_redirect_action). */
export function olderInternalRedirect(maxRedirects: number | undefined): InternalRedirectPolicy {
  return new InternalRedirectPolicy({
    maxRedirects: maxRedirects ?? 1,
    codes: new Set([302]),
    crossScheme: false,
    headersToCopy: [],
    allowed: null,
    oncePerRoute: false,
    safeCrossScheme: false,
  });
}

export function compileInternalRedirect(config: PolicyConfig, path: string, report: CompileReport): InternalRedirectPolicy {
  checkFields(InternalRedirectPolicySchema, config, POLICY, path, report);
  const { allowed, oncePerRoute, safeCrossScheme } = compilePredicates(config.predicates, `${path}.predicates`, report);
  return new InternalRedirectPolicy({
    maxRedirects: config.maxInternalRedirects ?? 1,
    // Others are no redirects, and are left out as in Envoy.
    codes: new Set(config.redirectResponseCodes.length === 0 ? [302] : config.redirectResponseCodes.filter((code) => REDIRECT_CODES.includes(code))),
    crossScheme: config.allowCrossSchemeRedirect,
    headersToCopy: config.responseHeadersToCopy.map((name) => name.toLowerCase()),
    allowed,
    oncePerRoute,
    safeCrossScheme,
  });
}

function compilePredicates(configs: readonly TypedExtensionConfig[], path: string, report: CompileReport) {
  let allowed: Set<string> | null = null;
  let oncePerRoute = false;
  let safeCrossScheme = false;
  configs.forEach(({ name, typedConfig }, index) => {
    const at = `${path}[${index}]`;
    switch (typeNameOf(typedConfig)) {
      case AllowListedRoutesConfigSchema.typeName: {
        const names = unpack(typedConfig, AllowListedRoutesConfigSchema, at, report)?.allowedRouteNames ?? [];
        allowed = new Set(allowed === null ? names : names.filter((one) => allowed!.has(one)));
        break;
      }
      case 'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig':
        oncePerRoute = true;
        break;
      case 'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig':
        safeCrossScheme = true;
        break;
      default:
        report.error(at, `${name} is not supported by this proxy`);
    }
  });
  return { allowed: allowed as ReadonlySet<string> | null, oncePerRoute, safeCrossScheme };
}
