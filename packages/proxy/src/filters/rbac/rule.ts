import { RequestHead } from '../../http/message.ts';
import type { HeaderMatcher } from '../../routing/header-matcher.ts';
import { pathOnly } from '../../routing/headers.ts';
import type { TextMatcher } from '../../routing/string-matcher.ts';
import type { CidrRange, IpAddress } from './ip-address.ts';

/** What a connection shows of itself, worked out once when it is accepted (and again when its certificate is known). */
export interface ConnectionFacts {
  /** Where the client connected to. */
  readonly destinationIp: IpAddress;
  readonly destinationPort: number;
  /** The other end of the connection. */
  readonly directRemoteIp: IpAddress;
  /** The client as trusted: x-forwarded-for or PROXY protocol may say more than the connection. */
  readonly remoteIp: IpAddress;
  /** True only under TLS. */
  readonly secure: boolean;
  /** Of the client's certificate, verified against the trust bundle; empty without one. */
  readonly peerUris: readonly string[];
  readonly peerDnsNames: readonly string[];
  /** RFC 2253 form, or ''. */
  readonly peerSubject: string;
  /** SNI, or ''. */
  readonly requestedServerName: string;
}

/** What filters before this one found out, by namespace; null: nothing. */
export type DynamicMetadata = ReadonlyMap<string, Readonly<Record<string, unknown>>> | null;

/** One permission or principal. `head` is null for TCP. */
export interface Rule {
  matches(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): boolean;
}

/** TCP has no headers: matchers see an empty request, as in Envoy. */
const NO_HEAD: RequestHead = Object.freeze(Object.assign(new RequestHead(), { scheme: '' }));

export class AllOf implements Rule {
  readonly #rules: readonly Rule[];
  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): boolean {
    for (let i = 0; i < this.#rules.length; i++) if (!this.#rules[i]!.matches(connection, head, metadata)) return false;
    return true;
  }
}

export class AnyOf implements Rule {
  readonly #rules: readonly Rule[];
  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): boolean {
    for (let i = 0; i < this.#rules.length; i++) if (this.#rules[i]!.matches(connection, head, metadata)) return true;
    return false;
  }
}

export class Not implements Rule {
  readonly #rule: Rule;
  constructor(rule: Rule) {
    this.#rule = rule;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null, metadata: DynamicMetadata): boolean {
    return !this.#rule.matches(connection, head, metadata);
  }
}

export class Constant implements Rule {
  readonly #result: boolean;
  constructor(result: boolean) {
    this.#result = result;
  }
  matches(): boolean {
    return this.#result;
  }
}

export class HeaderRule implements Rule {
  readonly #matcher: HeaderMatcher;
  constructor(matcher: HeaderMatcher) {
    this.#matcher = matcher;
  }
  matches(_connection: ConnectionFacts, head: RequestHead | null): boolean {
    return this.#matcher.matchesRequest(head ?? NO_HEAD);
  }
}

export class PathRule implements Rule {
  readonly #matcher: TextMatcher;
  constructor(matcher: TextMatcher) {
    this.#matcher = matcher;
  }
  matches(_connection: ConnectionFacts, head: RequestHead | null): boolean {
    return head !== null && head.path !== '' && this.#matcher.matches(pathOnly(head.path));
  }
}

export type IpSource = 'destinationIp' | 'directRemoteIp' | 'remoteIp';

export class IpRule implements Rule {
  readonly #source: IpSource;
  readonly #range: CidrRange;
  constructor(source: IpSource, range: CidrRange) {
    this.#source = source;
    this.#range = range;
  }
  matches(connection: ConnectionFacts): boolean {
    return this.#range.contains(connection[this.#source]);
  }
}

/** Half-open, as Envoy's port ranges are. */
export class PortRule implements Rule {
  readonly #start: number;
  readonly #end: number;
  constructor(start: number, end: number) {
    this.#start = start;
    this.#end = end;
  }
  matches(connection: ConnectionFacts): boolean {
    return connection.destinationPort >= this.#start && connection.destinationPort < this.#end;
  }
}

export class ServerNameRule implements Rule {
  readonly #matcher: TextMatcher;
  constructor(matcher: TextMatcher) {
    this.#matcher = matcher;
  }
  matches(connection: ConnectionFacts): boolean {
    return this.#matcher.matches(connection.requestedServerName);
  }
}

/** A verified certificate; with a matcher, one of its names: URI SANs, then DNS SANs, then the subject. */
export class AuthenticatedRule implements Rule {
  readonly #matcher: TextMatcher | null;
  constructor(matcher: TextMatcher | null) {
    this.#matcher = matcher;
  }
  matches(connection: ConnectionFacts): boolean {
    const { secure, peerUris, peerDnsNames, peerSubject } = connection;
    // Envoy takes any TLS connection for authenticated here; without a verified name we do not.
    if (!secure || (peerUris.length === 0 && peerDnsNames.length === 0 && peerSubject === '')) return false;
    const matcher = this.#matcher;
    if (matcher === null) return true;
    for (let i = 0; i < peerUris.length; i++) if (matcher.matches(peerUris[i]!)) return true;
    for (let i = 0; i < peerDnsNames.length; i++) if (matcher.matches(peerDnsNames[i]!)) return true;
    return peerSubject !== '' && matcher.matches(peerSubject);
  }
}

/** A value that an earlier filter left in the request's metadata; `path` leads to it. */
export class MetadataRule implements Rule {
  readonly #namespace: string;
  readonly #path: readonly string[];
  readonly #matcher: ValueTest;
  readonly #invert: boolean;
  constructor(namespace: string, path: readonly string[], matcher: ValueTest, invert: boolean) {
    this.#namespace = namespace;
    this.#path = path;
    this.#matcher = matcher;
    this.#invert = invert;
  }
  matches(_connection: ConnectionFacts, _head: RequestHead | null, metadata: DynamicMetadata): boolean {
    return this.holds(metadata);
  }

  holds(metadata: DynamicMetadata): boolean {
    return this.#matcher(this.valueIn(metadata)) !== this.#invert;
  }

  /** undefined: there is none. */
  valueIn(metadata: DynamicMetadata): unknown {
    let value: unknown = metadata === null ? undefined : metadata.get(this.#namespace);
    for (let i = 0; i < this.#path.length && value !== undefined; i++) {
      const key = this.#path[i]!;
      value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
    }
    return value;
  }
}

/** undefined: there is no such value. */
export type ValueTest = (value: unknown) => boolean;
