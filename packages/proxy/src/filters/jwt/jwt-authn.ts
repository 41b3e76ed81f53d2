import { RouteMatchSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  PerRouteConfigSchema,
  RequirementRuleSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/http/jwt_authn/v3/config';
import type { CompileReport } from '../../routing/compile-result.ts';
import { headerValue, pathOnly } from '../../routing/headers.ts';
import { RouteIndex } from '../../routing/route-index.ts';
import { compileRouteMatch } from '../../routing/route-match.ts';
import { checkFields, fieldPolicy, unpack } from '../../xds/fields.ts';
import {
  type Cancellable,
  type FilterContext,
  type FilteredStream,
  type FilterVerdict,
  type HttpFilter,
  type HttpFilterType,
  PASS,
  type RouteSetting,
} from '../http-filter.ts';
import { applyToken, compileProvider, normalized, type Provider, stripClaims } from './provider.ts';
import { compileRequirement, type Met, type Requirement } from './requirement.ts';
import type { Failure } from './verification.ts';

const FILTER = fieldPolicy('providers rules bypass_cors_preflight requirement_map strip_failure_response', 'stat_prefix');
const RULE = fieldPolicy('match requires requirement_name');
const MATCH = fieldPolicy('prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction headers query_parameters grpc');
/** Where RBAC looks for claims. */
const METADATA = 'envoy.filters.http.jwt_authn';

/** PerRouteConfig: another requirement by name, or '' for none. */
class RequirementOfRoute {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

interface JwtFields {
  readonly providers: readonly Provider[];
  readonly rules: RouteIndex;
  /** By the rule's place; null: nothing is asked. */
  readonly ruleRequirements: readonly (Requirement | null)[];
  readonly named: ReadonlyMap<string, Requirement>;
  readonly bypassPreflight: boolean;
  readonly stripFailure: boolean;
}

/** envoy.filters.http.jwt_authn: who calls is known by the tokens that he brings. */
class JwtFilter implements HttpFilter {
  readonly name: string;
  readonly fields: JwtFields;
  readonly #route: RequirementOfRoute | null;

  constructor(name: string, fields: JwtFields, route: RequirementOfRoute | null) {
    this.name = name;
    this.fields = fields;
    this.#route = route;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof RequirementOfRoute);
    return own === undefined ? this : new JwtFilter(this.name, this.fields, own);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const { head } = stream;
    for (const provider of this.fields.providers) stripClaims(provider, head);
    if (this.fields.bypassPreflight && isPreflight(stream)) return PASS;
    const requirement = this.#requirement(stream);
    if (requirement === null) return PASS;
    if (requirement === undefined) {
      const details = 'jwt_authn_access_denied{Wrong_requirement_name}';
      return { kind: 'refuse', status: 403, body: 'Failed JWT authentication', details, flag: 0 };
    }
    const check = new TokenCheck(this, stream);
    check.start(requirement);
    return { kind: 'wait', pending: check };
  }

  #requirement(stream: FilteredStream): Requirement | null | undefined {
    if (this.#route !== null) return this.#route.name === '' ? null : this.fields.named.get(this.#route.name);
    const index = this.fields.rules.find(stream.head, stream.dice);
    return index < 0 ? null : this.fields.ruleRequirements[index]!;
  }

  refusal(stream: FilteredStream, failure: Failure): FilterVerdict {
    const { stripFailure } = this.fields;
    const error = failure.kind === 'missing' ? '' : ', error="invalid_token"';
    const { scheme, authority, path } = stream.head;
    const challenge = stripFailure ? 'Bearer' : `Bearer realm="${scheme}://${authority.replace(/["\\]/g, '')}${pathOnly(path).replace(/["\\]/g, '')}"${error}`;
    return {
      kind: 'refuse',
      status: failure.status,
      body: stripFailure ? '' : failure.message,
      details: `jwt_authn_access_denied{${failure.message.replaceAll(' ', '_')}}`,
      flag: 0,
      headers: ['www-authenticate', challenge],
    };
  }
}

function isPreflight({ head }: FilteredStream): boolean {
  return (
    head.method === 'OPTIONS' && (headerValue(head.headers, 'origin') ?? '') !== '' && (headerValue(head.headers, 'access-control-request-method') ?? '') !== ''
  );
}

/** The tokens of one request before a requirement. */
class TokenCheck implements Cancellable {
  readonly #filter: JwtFilter;
  readonly #stream: FilteredStream;
  #over = false;

  constructor(filter: JwtFilter, stream: FilteredStream) {
    this.#filter = filter;
    this.#stream = stream;
  }

  start(requirement: Requirement): void {
    requirement.check(this.#stream.head, this.#stream.services).then(
      (met) => this.#heed(met),
      (error: Error) => {
        this.#stream.services.note('a token could not be verified', { filter: this.#filter.name, detail: error.message });
        this.#heed({ kind: 'failed', message: 'Jwt verification fails', status: 401 });
      },
    );
  }

  cancel(): void {
    this.#over = true;
  }

  #heed(met: Met): void {
    if (this.#over) return;
    const stream = this.#stream;
    if ('kind' in met) {
      stream.goOn(this.#filter.refusal(stream, met));
      return;
    }
    const metadata: Record<string, unknown> = {};
    for (const { provider, token, header, payload } of met) {
      applyToken(provider, token, payload, stream.head);
      if (provider.payloadKey !== '') metadata[provider.payloadKey] = normalized(provider, payload);
      if (provider.headerKey !== '') metadata[provider.headerKey] = header;
      if (provider.clearRouteCache) stream.rematch();
    }
    if (Object.keys(metadata).length > 0) {
      stream.dynamicMetadata ??= new Map();
      stream.dynamicMetadata.set(METADATA, metadata);
    }
    stream.goOn(PASS);
  }
}

function compile(config: JwtAuthentication, path: string, context: FilterContext, report: CompileReport): JwtFields {
  checkFields(JwtAuthenticationSchema, config, FILTER, path, report);
  const providers = new Map(
    Object.entries(config.providers).map(([name, provider]) => [
      name,
      compileProvider(name, provider, `${path}.providers[${JSON.stringify(name)}]`, context, report),
    ]),
  );
  const named = new Map(
    Object.entries(config.requirementMap).map(([name, requirement]) => [
      name,
      compileRequirement(requirement, providers, `${path}.requirement_map[${JSON.stringify(name)}]`, report),
    ]),
  );
  const matches = config.rules.map((rule, i) => {
    checkFields(RequirementRuleSchema, rule, RULE, `${path}.rules[${i}]`, report);
    if (rule.match !== undefined) checkFields(RouteMatchSchema, rule.match, MATCH, `${path}.rules[${i}].match`, report);
    return compileRouteMatch(rule.match, `${path}.rules[${i}].match`, report);
  });
  const ruleRequirements = config.rules.map((rule, i) => {
    const needed = rule.requirementType;
    if (needed.case === 'requires')
      return needed.value.requiresType.case === undefined ? null : compileRequirement(needed.value, providers, `${path}.rules[${i}].requires`, report);
    if (needed.case !== 'requirementName') return null;
    const found = named.get(needed.value);
    if (found === undefined) report.error(`${path}.rules[${i}].requirement_name`, `there is no requirement ${JSON.stringify(needed.value)}`);
    return found ?? null;
  });
  return {
    providers: [...providers.values()],
    rules: RouteIndex.of(matches, false),
    ruleRequirements,
    named,
    bypassPreflight: config.bypassCorsPreflight,
    stripFailure: config.stripFailureResponse,
  };
}

export const jwtAuthnType: HttpFilterType = {
  typeName: JwtAuthenticationSchema.typeName,
  compile(any, name, path, context, report) {
    const config = unpack(any, JwtAuthenticationSchema, path, report);
    return config === undefined ? null : new JwtFilter(name, compile(config, path, context, report), null);
  },
  settings: {
    [PerRouteConfigSchema.typeName](any, path, report) {
      const config = unpack(any, PerRouteConfigSchema, path, report);
      if (config?.requirementSpecifier.case === 'disabled') return new RequirementOfRoute('');
      if (config?.requirementSpecifier.case === 'requirementName' && config.requirementSpecifier.value !== '')
        return new RequirementOfRoute(config.requirementSpecifier.value);
      report.error(path, 'needs one of disabled, requirement_name');
      return null;
    },
  },
};
