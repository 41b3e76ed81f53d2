import type { CidrRangeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { HeaderMatcherSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { MetadataMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/metadata';
import type { StringMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import type { ValueMatcherSchema } from '@outrigger/xds/protos/envoy/type/matcher/v3/value';
import type { Init } from '../messages.ts';

/** Values of an AuthorizationPolicy: "*" anything there is, "a*" by prefix, "*a" by suffix, else exactly. */
export type StringMatcherInit = Init<typeof StringMatcherSchema>;

export function regex(pattern: string): StringMatcherInit {
  return { matchPattern: { case: 'safeRegex', value: { regex: pattern } } };
}

export const something = regex('.+');

export function wildcardMatcher(value: string): StringMatcherInit {
  if (value === '*') return something;
  if (value.startsWith('*')) return { matchPattern: { case: 'suffix', value: value.slice(1) } };
  if (value.endsWith('*')) return { matchPattern: { case: 'prefix', value: value.slice(0, -1) } };
  return { matchPattern: { case: 'exact', value } };
}

export function headerMatcher(name: string, value: string, ignoreCase = false): Init<typeof HeaderMatcherSchema> {
  if (value === '*') return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } };
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: { ...wildcardMatcher(value), ...(ignoreCase ? { ignoreCase } : {}) } } };
}

/** SPIFFE ids by the part after "spiffe://". */
export function principalMatcher(value: string): StringMatcherInit {
  if (value === '*') return something;
  if (value.startsWith('*')) return regex(`spiffe://.*${quoted(value.slice(1))}`);
  if (value.endsWith('*')) return { matchPattern: { case: 'prefix', value: `spiffe://${value.slice(0, -1)}` } };
  return { matchPattern: { case: 'exact', value: `spiffe://${value}` } };
}

/** SPIFFE ids of a trust domain, whose name may have one "*". */
export function trustDomainMatcher(value: string): StringMatcherInit {
  if (value === '*') return { matchPattern: { case: 'prefix', value: 'spiffe://' } };
  if (value.includes('*')) return regex(`spiffe://${value.split('*').map(quoted).join('[^/]*')}/.*`);
  return { matchPattern: { case: 'prefix', value: `spiffe://${value}/` } };
}

export function namespaceMatcher(value: string): StringMatcherInit {
  return regex(`.*/ns/${value.split('*').map(quoted).join('.*')}/.*`);
}

/** "NAMESPACE/NAME" or "NAME" of the policy's own namespace. */
export function serviceAccountMatcher(value: string, namespace: string): StringMatcherInit {
  const slash = value.indexOf('/');
  const [ns, name] = slash < 0 ? [namespace, value] : [value.slice(0, slash), value.slice(slash + 1)];
  return regex(`spiffe://.+/ns/${quoted(ns)}/(.+/|)sa/${quoted(name)}(/.+)?`);
}

function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** "10.0.0.0/8" or one address; undefined for what is neither. */
export function cidr(text: string): Init<typeof CidrRangeSchema> | undefined {
  const [address = '', length] = text.split('/');
  const most = address.includes(':') ? 128 : 32;
  const prefixLen = length === undefined ? most : Number(length);
  const valid = /^[0-9a-fA-F:.]+$/.test(address) && (length === undefined || /^\d{1,3}$/.test(length)) && prefixLen <= most;
  return valid ? { addressPrefix: address, prefixLen } : undefined;
}

export function metadataMatcher(filterName: string, path: readonly string[], value: Init<typeof ValueMatcherSchema>): Init<typeof MetadataMatcherSchema> {
  return { filter: filterName, path: path.map((key) => ({ segment: { case: 'key', value: key } })), value };
}

function anyOf(values: readonly string[]): Init<typeof ValueMatcherSchema> {
  const matchers = values.map((value): Init<typeof ValueMatcherSchema> => ({ matchPattern: { case: 'stringMatch', value: wildcardMatcher(value) } }));
  // Envoy refuses an OR of one.
  return matchers.length === 1 ? matchers[0]! : { matchPattern: { case: 'orMatch', value: { valueMatchers: matchers } } };
}

/** A text, or a list with one such text, in metadata. */
export function textOrList(values: readonly string[]): Init<typeof ValueMatcherSchema> {
  return {
    matchPattern: {
      case: 'orMatch',
      value: { valueMatchers: [{ matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: anyOf(values) } } } }, anyOf(values)] },
    },
  };
}

export function text(values: readonly string[]): Init<typeof ValueMatcherSchema> {
  return anyOf(values);
}
