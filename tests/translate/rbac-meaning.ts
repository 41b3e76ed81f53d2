import { fromBinary } from '@bufbuild/protobuf';
import type { CidrRange } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { Permission, Principal, RBAC } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import type { HeaderMatcher } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { UriTemplateMatchConfigSchema } from '@outrigger/xds/protos/envoy/extensions/path/match/uri_template/v3/uri_template_match';
import type { MetadataMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/metadata';
import type { StringMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import type { ValueMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/value';

/** What RBAC may look at. */
export interface Call {
  readonly principal: string;
  readonly sourceIp: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly sni: string;
  readonly path: string;
  /** With :method and :authority; lower case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Dynamic metadata by filter. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Whether any policy of the RBAC matches the call: what its action is then taken for. */
export function matches(rbac: RBAC, call: Call): boolean {
  return Object.values(rbac.policies).some(
    (policy) =>
      policy.permissions.some((permission) => permissionHolds(permission, call)) && policy.principals.some((principal) => principalHolds(principal, call)),
  );
}

function permissionHolds({ rule }: Permission, call: Call): boolean {
  switch (rule.case) {
    case 'any':
      return rule.value;
    case 'andRules':
      return rule.value.rules.every((one) => permissionHolds(one, call));
    case 'orRules':
      return rule.value.rules.some((one) => permissionHolds(one, call));
    case 'notRule':
      return !permissionHolds(rule.value, call);
    case 'header':
      return headerHolds(rule.value, call);
    case 'urlPath':
      return text(rule.value.rule.value, call.path.split('?')[0]!);
    case 'destinationIp':
      return inRange(rule.value, call.destinationIp);
    case 'destinationPort':
      return rule.value === call.destinationPort;
    case 'requestedServerName':
      return text(rule.value, call.sni);
    case 'metadata':
      return metadataHolds(rule.value, call);
    case 'uriTemplate':
      return template(fromBinary(UriTemplateMatchConfigSchema, rule.value.typedConfig!.value).pathTemplate, call.path.split('?')[0]!);
    default:
      throw new Error(`permission ${rule.case} has no meaning here`);
  }
}

function principalHolds({ identifier }: Principal, call: Call): boolean {
  switch (identifier.case) {
    case 'any':
      return identifier.value;
    case 'andIds':
      return identifier.value.ids.every((one) => principalHolds(one, call));
    case 'orIds':
      return identifier.value.ids.some((one) => principalHolds(one, call));
    case 'notId':
      return !principalHolds(identifier.value, call);
    case 'authenticated':
      return call.principal !== '' && (identifier.value.principalName === undefined || text(identifier.value.principalName, call.principal));
    case 'directRemoteIp':
      return inRange(identifier.value, call.sourceIp);
    case 'remoteIp':
      return inRange(identifier.value, call.remoteIp);
    case 'header':
      return headerHolds(identifier.value, call);
    case 'metadata':
      return metadataHolds(identifier.value, call);
    default:
      throw new Error(`principal ${identifier.case} has no meaning here`);
  }
}

function headerHolds(matcher: HeaderMatcher, call: Call): boolean {
  const value = call.headers[matcher.name.toLowerCase()];
  const specifier = matcher.headerMatchSpecifier;
  if (specifier.case === 'presentMatch') return (value !== undefined) === specifier.value;
  if (specifier.case !== 'stringMatch') throw new Error(`header match ${specifier.case} has no meaning here`);
  return value !== undefined && text(specifier.value, value) !== matcher.invertMatch;
}

function text(matcher: StringMatcher | undefined, value: string): boolean {
  const pattern = matcher?.matchPattern;
  const fold = (one: string): string => (matcher?.ignoreCase === true ? one.toLowerCase() : one);
  switch (pattern?.case) {
    case 'exact':
      return fold(value) === fold(pattern.value);
    case 'prefix':
      return fold(value).startsWith(fold(pattern.value));
    case 'suffix':
      return fold(value).endsWith(fold(pattern.value));
    case 'safeRegex':
      return new RegExp(`^(?:${pattern.value.regex})$`, 's').test(value);
    default:
      throw new Error(`string match ${pattern?.case} has no meaning here`);
  }
}

function metadataHolds(matcher: MetadataMatcher, call: Call): boolean {
  let value: unknown = call.metadata[matcher.filter];
  for (const { segment } of matcher.path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[segment.value!] : undefined;
  return valueHolds(matcher.value!, value) !== matcher.invert;
}

function valueHolds({ matchPattern }: ValueMatcher, value: unknown): boolean {
  switch (matchPattern.case) {
    case 'stringMatch':
      return typeof value === 'string' && text(matchPattern.value, value);
    case 'orMatch':
      return matchPattern.value.valueMatchers.some((one) => valueHolds(one, value));
    case 'listMatch': {
      const { matchPattern: list } = matchPattern.value;
      return Array.isArray(value) && list.case === 'oneOf' && value.some((one) => valueHolds(list.value, one));
    }
    default:
      throw new Error(`value match ${matchPattern.case} has no meaning here`);
  }
}

function inRange(range: CidrRange, address: string): boolean {
  const bits = (ip: string): string =>
    ip
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const length = range.prefixLen ?? 0;
  return bits(range.addressPrefix).slice(0, length) === bits(address).slice(0, length);
}

/** Envoy's URI templates: "*" is one segment, "**" any number. */
function template(pattern: string, path: string): boolean {
  const regex = pattern
    .split('/')
    .map((segment) => (segment === '**' ? '.*' : segment === '*' ? '[^/]+' : segment.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${regex}$`).test(path);
}
