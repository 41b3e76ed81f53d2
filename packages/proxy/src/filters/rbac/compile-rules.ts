import type { Permission, Principal } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import type { MetadataMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/metadata';
import type { PathMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/path';
import type { ValueMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/value';
import type { CompileReport } from '../../routing/compile-result.ts';
import { compileHeaderMatcher } from '../../routing/header-matcher.ts';
import { compileStringMatcher } from '../../routing/string-matcher.ts';
import { compileCidr } from './ip-address.ts';
import {
  AllOf,
  AnyOf,
  AuthenticatedRule,
  Constant,
  HeaderRule,
  IpRule,
  MetadataRule,
  Not,
  PathRule,
  PortRule,
  type Rule,
  ServerNameRule,
  type ValueTest,
} from './rule.ts';

/** Deeper nesting than any person writes; a message may not exhaust the stack. */
const MAX_DEPTH = 64;
const MAX_PORT = 65_535;

function compilePath(config: PathMatcher, path: string, report: CompileReport): Rule {
  const rule = config.rule;
  if (rule.case !== 'path') {
    report.error(path, 'needs a path');
    return new Constant(false);
  }
  return new PathRule(compileStringMatcher(rule.value, `${path}.path`, report));
}

/** envoy.type.matcher.v3.ValueMatcher; what is not there matches `present_match: false` alone. */
function compileValue(config: ValueMatcher | undefined, path: string, report: CompileReport, depth: number): ValueTest {
  const pattern = config?.matchPattern;
  if (depth > MAX_DEPTH) {
    report.error(path, `is nested more than ${MAX_DEPTH} deep`);
    return () => false;
  }
  switch (pattern?.case) {
    case 'nullMatch':
      return (value) => value === null;
    case 'doubleMatch': {
      const { matchPattern } = pattern.value;
      if (matchPattern.case === 'exact') return (value) => value === matchPattern.value;
      if (matchPattern.case === 'range') return (value) => typeof value === 'number' && value >= matchPattern.value.start && value < matchPattern.value.end;
      report.error(`${path}.double_match`, 'needs range or exact');
      return () => false;
    }
    case 'stringMatch': {
      const matcher = compileStringMatcher(pattern.value, `${path}.string_match`, report);
      return (value) => typeof value === 'string' && matcher.matches(value);
    }
    case 'boolMatch':
      return (value) => value === pattern.value;
    case 'presentMatch':
      return (value) => (value !== undefined) === pattern.value;
    case 'listMatch': {
      const one = pattern.value.matchPattern;
      const test = compileValue(one.case === 'oneOf' ? one.value : undefined, `${path}.list_match.one_of`, report, depth + 1);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case 'orMatch': {
      const tests = pattern.value.valueMatchers.map((inner, i) => compileValue(inner, `${path}.or_match.value_matchers[${i}]`, report, depth + 1));
      return (value) => tests.some((test) => test(value));
    }
    default:
      report.error(path, 'holds no value matcher that is known here');
      return () => false;
  }
}

export function compileMetadata(config: MetadataMatcher, path: string, report: CompileReport): MetadataRule {
  const keys = config.path.map(({ segment }) => segment.value ?? '');
  if (config.filter === '') report.error(`${path}.filter`, 'must not be empty');
  if (keys.length === 0) report.error(`${path}.path`, 'must not be empty');
  return new MetadataRule(config.filter, keys, compileValue(config.value, `${path}.value`, report, 0), config.invert);
}

export function compilePermission(config: Permission, path: string, report: CompileReport, depth = 0): Rule {
  if (depth > MAX_DEPTH) {
    report.error(path, `is nested more than ${MAX_DEPTH} deep`);
    return new Constant(false);
  }
  const rule = config.rule;
  switch (rule.case) {
    case 'andRules':
      return new AllOf(rule.value.rules.map((inner, i) => compilePermission(inner, `${path}.and_rules.rules[${i}]`, report, depth + 1)));
    case 'orRules':
      return new AnyOf(rule.value.rules.map((inner, i) => compilePermission(inner, `${path}.or_rules.rules[${i}]`, report, depth + 1)));
    case 'notRule':
      return new Not(compilePermission(rule.value, `${path}.not_rule`, report, depth + 1));
    case 'any':
      return new Constant(true);
    case 'header':
      return new HeaderRule(compileHeaderMatcher(rule.value, `${path}.header`, report));
    case 'urlPath':
      return compilePath(rule.value, `${path}.url_path`, report);
    case 'destinationIp':
      return new IpRule('destinationIp', compileCidr(rule.value, `${path}.destination_ip`, report));
    case 'destinationPort':
      if (rule.value > MAX_PORT) report.error(`${path}.destination_port`, `must not be more than ${MAX_PORT}`);
      return new PortRule(rule.value, rule.value + 1);
    case 'destinationPortRange': {
      const { start, end } = rule.value;
      if (start < 0 || end > MAX_PORT + 1 || start >= end) report.error(`${path}.destination_port_range`, `must have 0 <= start < end <= ${MAX_PORT + 1}`);
      return new PortRule(start, end);
    }
    case 'requestedServerName':
      return new ServerNameRule(compileStringMatcher(rule.value, `${path}.requested_server_name`, report));
    case 'metadata':
      return compileMetadata(rule.value, `${path}.metadata`, report);
    case 'matcher':
    case 'uriTemplate':
      report.error(`${path}.${rule.case === 'matcher' ? 'matcher' : 'uri_template'}`, 'extensions are not supported');
      return new Constant(false);
    default:
      report.error(path, 'holds no permission that is known here');
      return new Constant(false);
  }
}

export function compilePrincipal(config: Principal, path: string, report: CompileReport, depth = 0): Rule {
  if (depth > MAX_DEPTH) {
    report.error(path, `is nested more than ${MAX_DEPTH} deep`);
    return new Constant(false);
  }
  const identifier = config.identifier;
  switch (identifier.case) {
    case 'andIds':
      return new AllOf(identifier.value.ids.map((inner, i) => compilePrincipal(inner, `${path}.and_ids.ids[${i}]`, report, depth + 1)));
    case 'orIds':
      return new AnyOf(identifier.value.ids.map((inner, i) => compilePrincipal(inner, `${path}.or_ids.ids[${i}]`, report, depth + 1)));
    case 'notId':
      return new Not(compilePrincipal(identifier.value, `${path}.not_id`, report, depth + 1));
    case 'any':
      return new Constant(true);
    case 'authenticated': {
      const name = identifier.value.principalName;
      return new AuthenticatedRule(name === undefined ? null : compileStringMatcher(name, `${path}.authenticated.principal_name`, report));
    }
    case 'sourceIp':
      return new IpRule('directRemoteIp', compileCidr(identifier.value, `${path}.source_ip`, report));
    case 'directRemoteIp':
      return new IpRule('directRemoteIp', compileCidr(identifier.value, `${path}.direct_remote_ip`, report));
    case 'remoteIp':
      return new IpRule('remoteIp', compileCidr(identifier.value, `${path}.remote_ip`, report));
    case 'header':
      return new HeaderRule(compileHeaderMatcher(identifier.value, `${path}.header`, report));
    case 'urlPath':
      return compilePath(identifier.value, `${path}.url_path`, report);
    case 'metadata':
      return compileMetadata(identifier.value, `${path}.metadata`, report);
    case 'filterState':
      report.error(`${path}.filter_state`, 'is not supported');
      return new Constant(false);
    default:
      report.error(path, 'holds no principal that is known here');
      return new Constant(false);
  }
}
