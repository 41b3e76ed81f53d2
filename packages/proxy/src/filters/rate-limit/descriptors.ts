import type { JsonValue } from '@bufbuild/protobuf';
import type { RateLimit, RateLimit_Action } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { MetadataKey } from '@outrigger/xds/protos/envoy/type/metadata/v3/metadata';
import type { CompileReport } from '../../routing/compile-result.ts';
import { allMatchRequest, compileHeaderMatchers } from '../../routing/header-matcher.ts';
import { headerValue } from '../../routing/headers.ts';
import { compileQueryParameter } from '../../routing/query.ts';
import type { FilteredStream } from '../http-filter.ts';
import { type IpAddress, parseIp } from '../rbac/ip-address.ts';

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** What a request is counted under: all of its entries, in their order. */
export interface Descriptor {
  readonly entries: readonly DescriptorEntry[];
}

/** null: there is none for this request, and so no descriptor at all. 'skip': the rest stands without it. */
type Action = (stream: FilteredStream) => DescriptorEntry | null | 'skip';

/** envoy.config.route.v3.RateLimit. */
export class RateLimitRule {
  readonly stage: number;
  readonly #actions: readonly Action[];

  constructor(stage: number, actions: readonly Action[]) {
    this.stage = stage;
    this.#actions = actions;
  }

  descriptor(stream: FilteredStream): Descriptor | null {
    const entries: DescriptorEntry[] = [];
    for (const action of this.#actions) {
      const entry = action(stream);
      if (entry === null) return null;
      if (entry !== 'skip') entries.push(entry);
    }
    return entries.length === 0 ? null : { entries };
  }
}

/** What a route and its virtual host say to rate limit filters; found among a route's settings by its class. */
export class RouteRateLimits {
  readonly route: readonly RateLimitRule[];
  readonly virtualHost: readonly RateLimitRule[];
  /** RouteAction.include_vh_rate_limits. */
  readonly includeVirtualHost: boolean;

  constructor(route: readonly RateLimitRule[], virtualHost: readonly RateLimitRule[], includeVirtualHost: boolean) {
    this.route = route;
    this.virtualHost = virtualHost;
    this.includeVirtualHost = includeVirtualHost;
  }

  /** `virtualHost`: what the filter's own setting says to those of the virtual host. */
  descriptors(stream: FilteredStream, stage: number, virtualHost: 'override' | 'include' | 'ignore'): Descriptor[] {
    const found: Descriptor[] = [];
    let any = false;
    const collect = (rules: readonly RateLimitRule[]): void => {
      for (const rule of rules) {
        if (rule.stage !== stage) continue;
        any = true;
        const descriptor = rule.descriptor(stream);
        if (descriptor !== null) found.push(descriptor);
      }
    };
    collect(this.route);
    if (virtualHost === 'include' || this.includeVirtualHost || (virtualHost === 'override' && !any)) collect(this.virtualHost);
    return found;
  }
}

export function compileRateLimits(configs: readonly RateLimit[], path: string, report: CompileReport): readonly RateLimitRule[] {
  return configs.map((config, index) => {
    const at = `${path}[${index}]`;
    if (config.limit !== undefined) report.error(`${at}.limit`, 'not supported by this proxy');
    if (config.actions.length === 0) report.error(`${at}.actions`, 'must not be empty');
    return new RateLimitRule(
      config.stage ?? 0,
      config.actions.map((action, i) => compileAction(action, `${at}.actions[${i}]`, report)),
    );
  });
}

function compileAction(config: RateLimit_Action, path: string, report: CompileReport): Action {
  const action = config.actionSpecifier;
  switch (action.case) {
    case 'destinationCluster':
      return ({ route, head, dice }) =>
        route !== null && route.kind === 'forward' ? { key: 'destination_cluster', value: route.pickCluster(head, dice).clusterName(head) } : null;
    case 'requestHeaders': {
      const name = action.value.headerName.toLowerCase();
      const { descriptorKey: key, skipIfAbsent } = action.value;
      return ({ head }) => {
        const value = headerOf(head, name);
        return value !== undefined ? { key, value } : skipIfAbsent ? 'skip' : null;
      };
    }
    case 'remoteAddress':
      return (stream) => {
        const value = remoteHost(stream);
        return value === '' ? null : { key: 'remote_address', value };
      };
    case 'maskedRemoteAddress': {
      const v4 = action.value.v4PrefixMaskLen ?? 32;
      const v6 = action.value.v6PrefixMaskLen ?? 128;
      return (stream) => {
        const address = parseIp(remoteHost(stream));
        return address.family === 0 ? null : { key: 'masked_remote_address', value: masked(address, address.family === 4 ? v4 : v6) };
      };
    }
    case 'genericKey': {
      const entry = { key: action.value.descriptorKey === '' ? 'generic_key' : action.value.descriptorKey, value: action.value.descriptorValue };
      return () => entry;
    }
    case 'headerValueMatch': {
      const matchers = compileHeaderMatchers(action.value.headers, `${path}.header_value_match.headers`, report);
      const expected = action.value.expectMatch ?? true;
      const entry = { key: action.value.descriptorKey === '' ? 'header_match' : action.value.descriptorKey, value: action.value.descriptorValue };
      return ({ head }) => (allMatchRequest(matchers, head) === expected ? entry : null);
    }
    case 'queryParameterValueMatch': {
      const matchers = action.value.queryParameters.map((one, i) =>
        compileQueryParameter(one, `${path}.query_parameter_value_match.query_parameters[${i}]`, report),
      );
      const expected = action.value.expectMatch ?? true;
      const entry = { key: action.value.descriptorKey === '' ? 'query_match' : action.value.descriptorKey, value: action.value.descriptorValue };
      return ({ head }) => (matchers.every((matcher) => matcher.matches(head.path)) === expected ? entry : null);
    }
    case 'dynamicMetadata':
      return metadataAction(action.value.descriptorKey, action.value.metadataKey, action.value.defaultValue, false, false);
    case 'metadata':
      return metadataAction(
        action.value.descriptorKey,
        action.value.metadataKey,
        action.value.defaultValue,
        action.value.source === 1,
        action.value.skipIfAbsent,
      );
    default:
      report.error(path, `${action.case === undefined ? 'an action that is not known here' : action.case} is not supported by this proxy`);
      return () => null;
  }
}

function metadataAction(key: string, where: MetadataKey | undefined, fallback: string, ofRoute: boolean, skipIfAbsent: boolean): Action {
  const keys = where?.path.map(({ segment }) => segment.value ?? '') ?? [];
  const namespace = where?.key ?? '';
  return ({ route, dynamicMetadata }) => {
    let value: unknown = ofRoute ? route?.fields.metadata.filterMetadata[namespace] : dynamicMetadata?.get(namespace);
    for (const one of keys) {
      value = typeof value === 'object' && value !== null && Object.hasOwn(value, one) ? (value as Record<string, JsonValue>)[one] : undefined;
    }
    const text = typeof value === 'string' && value !== '' ? value : fallback;
    return text !== '' ? { key, value: text } : skipIfAbsent ? 'skip' : null;
  };
}

function headerOf(head: FilteredStream['head'], name: string): string | undefined {
  switch (name) {
    case ':path':
      return head.path;
    case ':method':
      return head.method;
    case ':authority':
    case 'host':
      return head.authority;
    case ':scheme':
      return head.scheme;
    default:
      return headerValue(head.headers, name);
  }
}

function remoteHost(stream: FilteredStream): string {
  const address = stream.downstreamRemoteAddress;
  return address.slice(0, Math.max(0, address.lastIndexOf(':'))).replace(/^\[|\]$/g, '');
}

/** "10.1.0.0/16" */
function masked(address: IpAddress, bits: number): string {
  const first = address.family === 4 ? 3 : 0;
  const words = address.words.slice(first).map((word, index) => {
    const kept = Math.min(32, Math.max(0, bits - index * 32));
    return kept === 0 ? 0 : (word & (0xffffffff << (32 - kept))) >>> 0;
  });
  if (address.family === 4) return `${[24, 16, 8, 0].map((shift) => (words[0]! >>> shift) & 0xff).join('.')}/${bits}`;
  const groups = words.flatMap((word) => [(word >>> 16).toString(16), (word & 0xffff).toString(16)]);
  return `${compressed(groups)}/${bits}`;
}

/** RFC 5952: the longest run of zeros, the first of equals, is "::". */
function compressed(groups: readonly string[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}
