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

/** One permission or principal. `head` is null for TCP. */
export interface Rule {
  matches(connection: ConnectionFacts, head: RequestHead | null): boolean;
}

/** TCP has no headers: matchers see an empty request, as in Envoy. */
const NO_HEAD: RequestHead = Object.freeze(Object.assign(new RequestHead(), { scheme: '' }));

export class AllOf implements Rule {
  readonly #rules: readonly Rule[];
  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null): boolean {
    for (let i = 0; i < this.#rules.length; i++) if (!this.#rules[i]!.matches(connection, head)) return false;
    return true;
  }
}

export class AnyOf implements Rule {
  readonly #rules: readonly Rule[];
  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null): boolean {
    for (let i = 0; i < this.#rules.length; i++) if (this.#rules[i]!.matches(connection, head)) return true;
    return false;
  }
}

export class Not implements Rule {
  readonly #rule: Rule;
  constructor(rule: Rule) {
    this.#rule = rule;
  }
  matches(connection: ConnectionFacts, head: RequestHead | null): boolean {
    return !this.#rule.matches(connection, head);
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
