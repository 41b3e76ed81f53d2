import type { Random } from '@outrigger/telemetry';
import type { RouteAction_HashPolicy } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { RequestHead } from '../http/message.ts';
import { LbContext } from '../lb/context.ts';
import { XxHash64 } from '../lb/xxhash64.ts';
import type { CompileReport } from './compile-result.ts';
import { durationMs } from './duration.ts';
import { headerIndex } from './headers.ts';
import { queryValue } from './query.ts';
import { compileRegexRewrite, type RegexRewrite } from './regex.ts';

const HALF_WORD = 0x1_0000;
/** For cookies that are made, of which nothing comes. */
const NOT_RANDOM: Random = { uint32: () => 0 };

type Source =
  | { readonly kind: 'header'; readonly name: string; readonly rewrite: RegexRewrite | null }
  /** `ttlSeconds` -1: no cookie is made. `attributes` ends the Set-Cookie value. */
  | { readonly kind: 'cookie'; readonly name: string; readonly ttlSeconds: number; readonly attributes: string }
  | { readonly kind: 'source-ip' }
  | { readonly kind: 'query'; readonly name: string };

interface Policy {
  readonly source: Source;
  /** Whether the rest is left out once there is a hash. */
  readonly terminal: boolean;
}

/** RouteAction.hash_policy: what a request is sent by where the cluster hashes. */
export class HashPolicies {
  readonly #policies: readonly Policy[];
  readonly #hasher = new XxHash64();
  readonly #scratch = new LbContext();

  constructor(policies: readonly Policy[]) {
    this.#policies = policies;
  }

  get empty(): boolean {
    return this.#policies.length === 0;
  }

  /** Sets the hash of `context`, and its `setCookie` where a cookie has to be made. `sourceIp` is without port. */
  apply(head: RequestHead, sourceIp: string, random: Random, context: LbContext): void {
    const hasher = this.#hasher;
    context.hasHash = false;
    context.setCookie = '';
    for (const { source, terminal } of this.#policies) {
      const text = this.#textOf(source, head, sourceIp, random, context);
      if (text !== undefined) {
        hasher.hash(text);
        if (context.hasHash) {
          // Rotated by one so that two equal policies do not cancel each other.
          const { hashHigh, hashLow } = context;
          context.hashHigh = (((hashHigh << 1) | (hashLow >>> 31)) ^ hasher.high) >>> 0;
          context.hashLow = (((hashLow << 1) | (hashHigh >>> 31)) ^ hasher.low) >>> 0;
        } else {
          context.hashHigh = hasher.high;
          context.hashLow = hasher.low;
          context.hasHash = true;
        }
      }
      if (terminal && context.hasHash) return;
    }
  }

  /** The hash modulo `total` (at most 2^32); -1 where the request has nothing to hash, or only what it would be given. */
  remainder(head: RequestHead, total: number): number {
    const context = this.#scratch;
    this.apply(head, '', NOT_RANDOM, context);
    if (!context.hasHash || context.setCookie !== '') return -1;
    // In parts: the whole of 64 bits is no exact number.
    let rest = context.hashHigh % total;
    rest = (rest * HALF_WORD + (context.hashLow >>> 16)) % total;
    return (rest * HALF_WORD + (context.hashLow & 0xffff)) % total;
  }

  #textOf(source: Source, head: RequestHead, sourceIp: string, random: Random, context: LbContext): string | undefined {
    switch (source.kind) {
      case 'header':
        return headerText(head, source.name, source.rewrite);
      case 'source-ip':
        return sourceIp === '' ? undefined : sourceIp;
      case 'query':
        return queryValue(head.path, source.name);
      case 'cookie': {
        const value = cookieValue(head.headers, source.name);
        if (value !== '' || source.ttlSeconds < 0) return value === '' ? undefined : value;
        const made = hex(random.uint32()) + hex(random.uint32());
        const age = source.ttlSeconds === 0 ? '' : `; Max-Age=${source.ttlSeconds}`;
        context.setCookie = `${source.name}="${made}"${age}${source.attributes}`;
        return made;
      }
    }
  }
}

export const NO_HASH = new HashPolicies([]);

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** The values of a repeated header in an order of their own, so that theirs does not matter. */
function headerText(head: RequestHead, name: string, rewrite: RegexRewrite | null): string | undefined {
  if (name === ':path') return rewrite === null ? head.path : rewrite.replaceAll(head.path);
  if (name === ':authority' || name === 'host') return rewrite === null ? head.authority : rewrite.replaceAll(head.authority);
  if (name === ':method') return head.method;
  const first = headerIndex(head.headers, name);
  if (first < 0) return undefined;
  const only = head.headers[first + 1]!;
  let next = headerIndex(head.headers, name, first + 2);
  if (next < 0) return rewrite === null ? only : rewrite.replaceAll(only);
  const values = [only];
  for (; next >= 0; next = headerIndex(head.headers, name, next + 2)) values.push(head.headers[next + 1]!);
  return values
    .map((value) => (rewrite === null ? value : rewrite.replaceAll(value)))
    .sort()
    .join('');
}

/** A cookie of the request, without quotes; '' where it is missing. */
export function cookieValue(headers: readonly string[], name: string): string {
  for (let index = headerIndex(headers, 'cookie'); index >= 0; index = headerIndex(headers, 'cookie', index + 2)) {
    for (const pair of headers[index + 1]!.split(';')) {
      const equals = pair.indexOf('=');
      if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
      const value = pair.slice(equals + 1).trim();
      return value.startsWith('"') && value.endsWith('"') && value.length >= 2 ? value.slice(1, -1) : value;
    }
  }
  return '';
}

export function compileHashPolicies(configs: readonly RouteAction_HashPolicy[], path: string, report: CompileReport): HashPolicies {
  const policies: Policy[] = [];
  configs.forEach((config, index) => {
    const at = `${path}[${index}]`;
    const specifier = config.policySpecifier;
    const { terminal } = config;
    switch (specifier.case) {
      case 'header': {
        const { headerName, regexRewrite } = specifier.value;
        if (headerName === '') report.error(`${at}.header.header_name`, 'must not be empty');
        const rewrite = regexRewrite === undefined ? null : compileRegexRewrite(regexRewrite, `${at}.header.regex_rewrite`, report);
        policies.push({ source: { kind: 'header', name: headerName.toLowerCase(), rewrite }, terminal });
        break;
      }
      case 'cookie': {
        const { name, ttl, path: cookiePath, attributes } = specifier.value;
        const extra = attributes.map((attribute) => `; ${attribute.name}${attribute.value === '' ? '' : '=' + attribute.value}`).join('');
        const end = `${cookiePath === '' ? '' : '; Path=' + cookiePath}${extra}; HttpOnly`;
        policies.push({
          source: { kind: 'cookie', name, ttlSeconds: ttl === undefined ? -1 : Math.floor(durationMs(ttl, 0) / 1000), attributes: end },
          terminal,
        });
        break;
      }
      case 'connectionProperties':
        if (specifier.value.sourceIp) policies.push({ source: { kind: 'source-ip' }, terminal });
        break;
      case 'queryParameter':
        policies.push({ source: { kind: 'query', name: specifier.value.name }, terminal });
        break;
      case 'filterState':
        report.error(`${at}.filter_state`, 'is not supported');
        break;
      default:
        report.error(at, 'needs one of header, cookie, connection_properties, query_parameter');
    }
  });
  return policies.length === 0 ? NO_HASH : new HashPolicies(policies);
}
