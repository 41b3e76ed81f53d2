import type { AuthorizationCondition, AuthorizationOperation, AuthorizationRule, AuthorizationSource } from '@outrigger/resources';
import type { PermissionSchema, PolicySchema, PrincipalSchema } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { UriTemplateMatchConfigSchema } from '@outrigger/xds/protos/envoy/extensions/path/match/uri_template/v3/uri_template_match';
import { extension, type Init } from '../messages.ts';
import {
  cidr,
  headerMatcher,
  metadataMatcher,
  namespaceMatcher,
  principalMatcher,
  type StringMatcherInit,
  serviceAccountMatcher,
  something,
  text,
  textOrList,
  trustDomainMatcher,
  wildcardMatcher,
} from './matchers.ts';

type Permission = Init<typeof PermissionSchema>;
type Principal = Init<typeof PrincipalSchema>;
type PolicyInit = Init<typeof PolicySchema>;

/** How one rule is to be read. */
export interface RuleContext {
  readonly tcp: boolean;
  /** ALLOW: a rule with something that TCP cannot tell allows nothing. DENY: what it cannot tell is left out, so that it denies more. */
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT';
  readonly namespace: string;
  /** Trust domain and its aliases. */
  readonly trustDomains: readonly string[];
  /** The port that the proxy sees for a port that a policy names; undefined: it never sees that one. */
  readonly portSeen: (port: number) => number | undefined;
  readonly onProblem: (field: string, message: string) => void;
}

const anyPermission: Permission = { rule: { case: 'any', value: true } };
const anyPrincipal: Principal = { identifier: { case: 'any', value: true } };
const noPermission: Permission = { rule: { case: 'notRule', value: anyPermission } };
const noPrincipal: Principal = { identifier: { case: 'notId', value: anyPrincipal } };

/** A policy without rules: matches nothing. */
export const matchesNothing: PolicyInit = { permissions: [noPermission], principals: [noPrincipal] };

/** Thrown inside one rule only: it cannot be said for TCP. */
class HttpOnly extends Error {}

/** One rule of an AuthorizationPolicy; undefined where nothing of it can hold on this kind of connection. */
export function rulePolicy(rule: AuthorizationRule, field: string, context: RuleContext): PolicyInit | undefined {
  try {
    const conditions = (rule.when ?? []).map((condition, index) => ({ condition, field: `${field}.when[${index}]` }));
    const to = rule.to === undefined || rule.to.length === 0 ? [{}] : rule.to;
    const from = rule.from === undefined || rule.from.length === 0 ? [{}] : rule.from;
    const permissions = to.map(({ operation = {} }, index) =>
      allOf([...operationRules(operation, `${field}.to[${index}].operation`, context), ...permissionConditions(conditions, context)]),
    );
    const principals = from.map(({ source = {} }, index) =>
      allIds([...sourceIds(source, `${field}.from[${index}].source`, context), ...principalConditions(conditions, context)]),
    );
    return { permissions, principals };
  } catch (error) {
    if (!(error instanceof HttpOnly)) throw error;
    context.onProblem(error.message, 'this needs HTTP: on TCP ports the rule allows nothing');
    return undefined;
  }
}

function allOf(rules: readonly Permission[]): Permission {
  return { rule: { case: 'andRules', value: { rules: rules.length === 0 ? [anyPermission] : [...rules] } } };
}

function allIds(ids: readonly Principal[]): Principal {
  return { identifier: { case: 'andIds', value: { ids: ids.length === 0 ? [anyPrincipal] : [...ids] } } };
}

/** `values` and `notValues` of one attribute. */
function permissionPair(values: readonly string[] | undefined, notValues: readonly string[] | undefined, make: (value: string) => Permission): Permission[] {
  const any = (list: readonly string[]): Permission => ({ rule: { case: 'orRules', value: { rules: list.map(make) } } });
  return [
    ...(values !== undefined && values.length > 0 ? [any(values)] : []),
    ...(notValues !== undefined && notValues.length > 0 ? [{ rule: { case: 'notRule', value: any(notValues) } } as const] : []),
  ];
}

function principalPair(values: readonly string[] | undefined, notValues: readonly string[] | undefined, make: (value: string) => Principal): Principal[] {
  const any = (list: readonly string[]): Principal => ({ identifier: { case: 'orIds', value: { ids: list.map(make) } } });
  return [
    ...(values !== undefined && values.length > 0 ? [any(values)] : []),
    ...(notValues !== undefined && notValues.length > 0 ? [{ identifier: { case: 'notId', value: any(notValues) } } as const] : []),
  ];
}

function has(...lists: readonly (readonly string[] | undefined)[]): boolean {
  return lists.some((list) => list !== undefined && list.length > 0);
}

/** What needs HTTP: on TCP it ends an ALLOW rule, and is left out of others. */
function httpOnly<T>(context: RuleContext, field: string, lists: readonly (readonly string[] | undefined)[], make: () => T[]): T[] {
  if (!has(...lists)) return [];
  if (!context.tcp) return make();
  if (context.action === 'ALLOW') throw new HttpOnly(field);
  context.onProblem(field, 'this needs HTTP: on TCP ports it is left out, so that the rule covers more');
  return [];
}

function operationRules(operation: AuthorizationOperation, field: string, context: RuleContext): Permission[] {
  const header =
    (name: string, ignoreCase: boolean) =>
    (value: string): Permission => ({ rule: { case: 'header', value: headerMatcher(name, value, ignoreCase) } });
  return [
    ...httpOnly(context, `${field}.hosts`, [operation.hosts, operation.notHosts], () =>
      permissionPair(operation.hosts, operation.notHosts, header(':authority', true)),
    ),
    ...httpOnly(context, `${field}.methods`, [operation.methods, operation.notMethods], () =>
      permissionPair(operation.methods, operation.notMethods, header(':method', false)),
    ),
    ...httpOnly(context, `${field}.paths`, [operation.paths, operation.notPaths], () => permissionPair(operation.paths, operation.notPaths, pathPermission)),
    ...permissionPair(operation.ports, operation.notPorts, (value) => portPermission(value, `${field}.ports`, context)),
    ...unknownFields(operation, operationFields, field, context).map(() => noPermission),
  ];
}

function pathPermission(value: string): Permission {
  if (value.includes('{*}') || value.includes('{**}')) {
    const pathTemplate = value.replaceAll('{*}', '*').replaceAll('{**}', '**');
    return { rule: { case: 'uriTemplate', value: extension('uri-template', UriTemplateMatchConfigSchema, { pathTemplate }) } };
  }
  return { rule: { case: 'urlPath', value: { rule: { case: 'path', value: wildcardMatcher(value) } } } };
}

function portPermission(value: string, field: string, context: RuleContext): Permission {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : undefined;
  if (port === undefined || port > 65_535) {
    context.onProblem(field, `"${value}" is no port: it matches nothing`);
    return noPermission;
  }
  const seen = context.portSeen(port);
  return seen === undefined ? noPermission : { rule: { case: 'destinationPort', value: seen } };
}

function sourceIds(source: AuthorizationSource, field: string, context: RuleContext): Principal[] {
  const authenticated = (matcher: StringMatcherInit): Principal => ({ identifier: { case: 'authenticated', value: { principalName: matcher } } });
  return [
    ...principalPair(source.serviceAccounts, source.notServiceAccounts, (value) => authenticated(serviceAccountMatcher(value, context.namespace))),
    ...principalPair(withAliases(source.principals, context), withAliases(source.notPrincipals, context), (value) => authenticated(principalMatcher(value))),
    ...httpOnly(context, `${field}.requestPrincipals`, [source.requestPrincipals, source.notRequestPrincipals], () =>
      principalPair(source.requestPrincipals, source.notRequestPrincipals, requestPrincipal),
    ),
    ...principalPair(source.namespaces, source.notNamespaces, (value) => authenticated(namespaceMatcher(value))),
    ...principalPair(withAliasDomains(source.trustDomains, context), withAliasDomains(source.notTrustDomains, context), (value) =>
      authenticated(trustDomainMatcher(value)),
    ),
    ...principalPair(source.remoteIpBlocks, source.notRemoteIpBlocks, (value) => ipId('remoteIp', value, `${field}.remoteIpBlocks`, context)),
    ...principalPair(source.ipBlocks, source.notIpBlocks, (value) => ipId('directRemoteIp', value, `${field}.ipBlocks`, context)),
    ...unknownFields(source, sourceFields, field, context).map(() => noPrincipal),
  ];
}

const sourceFields = fieldNames(['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'trustDomains', 'ipBlocks', 'remoteIpBlocks']);
const operationFields = fieldNames(['hosts', 'ports', 'methods', 'paths']);

function fieldNames(positive: readonly string[]): ReadonlySet<string> {
  return new Set(positive.flatMap((name) => [name, `not${name[0]!.toUpperCase()}${name.slice(1)}`]));
}

/** Fields of a newer schema: left out, one that narrows an ALLOW would open it, so there it matches nothing; elsewhere the rule covers more. */
function unknownFields(value: object, known: ReadonlySet<string>, field: string, context: RuleContext): readonly string[] {
  const unknown = Object.keys(value).filter((name) => !known.has(name));
  for (const name of unknown) context.onProblem(`${field}.${name}`, 'this field is not known here');
  return context.action === 'ALLOW' ? unknown : [];
}

function ipId(kind: 'remoteIp' | 'directRemoteIp', value: string, field: string, context: RuleContext): Principal {
  const range = cidr(value);
  if (range !== undefined) return { identifier: { case: kind, value: range } };
  context.onProblem(field, `"${value}" is no address range: it matches nothing`);
  return noPrincipal;
}

/** A principal of one of our trust domains stands for the same name in all of them. */
function withAliases(principals: readonly string[] | undefined, context: RuleContext): readonly string[] | undefined {
  if (principals === undefined) return undefined;
  const found = new Set<string>();
  for (const principal of principals) {
    const slash = principal.indexOf('/');
    const domain = slash < 0 ? principal : principal.slice(0, slash);
    const matches = (name: string): boolean =>
      domain === name ||
      domain === '*' ||
      (domain.startsWith('*') && name.endsWith(domain.slice(1))) ||
      (domain.endsWith('*') && name.startsWith(domain.slice(0, -1)));
    if (slash >= 0 && context.trustDomains.some(matches)) {
      for (const name of context.trustDomains) if (!matches(name)) found.add(name + principal.slice(slash));
    }
    found.add(principal);
  }
  return [...found];
}

/** One of our trust domains stands for all of them. */
function withAliasDomains(domains: readonly string[] | undefined, context: RuleContext): readonly string[] | undefined {
  if (domains === undefined) return undefined;
  return [...new Set(domains.flatMap((domain) => (context.trustDomains.includes(domain) ? context.trustDomains : [domain])))];
}

const JWT_FILTER = 'envoy.filters.http.jwt_authn';

/** "ISSUER/SUBJECT", either with a wildcard. */
function requestPrincipal(value: string): Principal {
  const claim = (name: string, matcher: StringMatcherInit): Principal => ({
    identifier: { case: 'metadata', value: metadataMatcher(JWT_FILTER, ['payload', name], { matchPattern: { case: 'stringMatch', value: matcher } }) },
  });
  const pair = (issuer: StringMatcherInit, subject: StringMatcherInit): Principal => ({
    identifier: { case: 'andIds', value: { ids: [claim('iss', issuer), claim('sub', subject)] } },
  });
  const slash = value.lastIndexOf('/');
  if (slash >= 0) return pair(wildcardMatcher(value.slice(0, slash)), wildcardMatcher(value.slice(slash + 1)));
  if (value === '*') return pair(something, something);
  if (value.startsWith('*')) return pair(something, wildcardMatcher(value));
  if (value.endsWith('*')) return pair(wildcardMatcher(value), something);
  return pair(wildcardMatcher(value), { matchPattern: { case: 'exact', value: '' } });
}

interface PlacedCondition {
  readonly condition: AuthorizationCondition;
  readonly field: string;
}

const CLAIMS = 'request.auth.claims';
const HEADERS = 'request.headers';
const METADATA = 'experimental.';

function isPermissionKey(key: string): boolean {
  return key === 'destination.ip' || key === 'destination.port' || key === 'connection.sni' || key.startsWith(METADATA);
}

function permissionConditions(conditions: readonly PlacedCondition[], context: RuleContext): Permission[] {
  return conditions
    .filter(({ condition }) => isPermissionKey(condition.key))
    .flatMap(({ condition: { key, values, notValues }, field }) => {
      switch (key) {
        case 'destination.ip':
          return permissionPair(values, notValues, (value) => {
            const range = cidr(value);
            if (range !== undefined) return { rule: { case: 'destinationIp', value: range } };
            context.onProblem(field, `"${value}" is no address range: it matches nothing`);
            return noPermission;
          });
        case 'destination.port':
          return permissionPair(values, notValues, (value) => portPermission(value, field, context));
        case 'connection.sni':
          return permissionPair(values, notValues, (value) => ({ rule: { case: 'requestedServerName', value: wildcardMatcher(value) } }));
        default:
          return metadataConditions(key, values, notValues);
      }
    });
}

/** "experimental.envoy.filters.a.b[c]": dynamic metadata of a filter. */
function metadataConditions(key: string, values: readonly string[] | undefined, notValues: readonly string[] | undefined): Permission[] {
  const [name = '', ...path] = key.slice(METADATA.length).split('[');
  const keys = path.map((part) => part.replace(/\]$/, ''));
  const matching = (list: readonly string[]): Permission => ({ rule: { case: 'metadata', value: metadataMatcher(name, keys, text(list)) } });
  return [
    ...(values !== undefined && values.length > 0 ? [matching(values)] : []),
    ...(notValues !== undefined && notValues.length > 0 ? [{ rule: { case: 'notRule', value: matching(notValues) } } as const] : []),
  ];
}

function principalConditions(conditions: readonly PlacedCondition[], context: RuleContext): Principal[] {
  return conditions.filter(({ condition }) => !isPermissionKey(condition.key)).flatMap((placed) => principalCondition(placed, context));
}

function principalCondition({ condition: { key, values, notValues }, field }: PlacedCondition, context: RuleContext): Principal[] {
  const needsHttp = (make: () => Principal[]): Principal[] => httpOnly(context, field, [values, notValues], make);
  const claim = (path: readonly string[]): Principal[] => {
    const matching = (list: readonly string[]): Principal => ({
      identifier: { case: 'metadata', value: metadataMatcher(JWT_FILTER, ['payload', ...path], textOrList(list)) },
    });
    return [...(has(values) ? [matching(values!)] : []), ...(has(notValues) ? [{ identifier: { case: 'notId', value: matching(notValues!) } } as const] : [])];
  };
  const asSource = (source: AuthorizationSource): Principal[] => sourceIds(source, field, context);
  switch (key) {
    case 'source.ip':
      return asSource({ ...(values && { ipBlocks: values }), ...(notValues && { notIpBlocks: notValues }) });
    case 'remote.ip':
      return asSource({ ...(values && { remoteIpBlocks: values }), ...(notValues && { notRemoteIpBlocks: notValues }) });
    case 'source.namespace':
      return asSource({ ...(values && { namespaces: values }), ...(notValues && { notNamespaces: notValues }) });
    case 'source.principal':
      return asSource({ ...(values && { principals: values }), ...(notValues && { notPrincipals: notValues }) });
    case 'source.serviceAccount':
      return asSource({ ...(values && { serviceAccounts: values }), ...(notValues && { notServiceAccounts: notValues }) });
    case 'source.trustDomain':
      return asSource({ ...(values && { trustDomains: values }), ...(notValues && { notTrustDomains: notValues }) });
    case 'request.auth.principal':
      return asSource({ ...(values && { requestPrincipals: values }), ...(notValues && { notRequestPrincipals: notValues }) });
    case 'request.auth.audiences':
      return needsHttp(() => claim(['aud']));
    case 'request.auth.presenter':
      return needsHttp(() => claim(['azp']));
  }
  if (key.startsWith(`${CLAIMS}[`)) return needsHttp(() => claim(bracketed(key.slice(CLAIMS.length))));
  if (key.startsWith(`${HEADERS}[`)) {
    const [name = ''] = bracketed(key.slice(HEADERS.length));
    return needsHttp(() => principalPair(values, notValues, (value) => ({ identifier: { case: 'header', value: headerMatcher(name, value) } })));
  }
  // Not knowing a condition must not open a door: as a part of ALLOW it holds never, as a part of DENY always.
  context.onProblem(
    `${field}.key`,
    `"${key}" is no condition that is known; ${context.action === 'ALLOW' ? 'the rule allows nothing' : 'it is left out, so that the rule covers more'}`,
  );
  return context.action === 'ALLOW' ? [noPrincipal] : [];
}

/** "[a][b]" */
function bracketed(text: string): string[] {
  return [...text.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1]!);
}
