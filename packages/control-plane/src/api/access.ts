import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../options.ts';
import { ApiFailure } from './api-failure.ts';

const SECRET_BYTES = 32;
const SESSION_MS = 12 * 3_600_000;
/** Addresses that were printed and not opened yet; the oldest makes room. */
const MAX_ONE_TIME_TOKENS = 100;

export interface AccessOptions {
  readonly clock: Clock;
  /** Kept in the store: sessions outlive a restart. */
  readonly secret: Buffer;
  /** Names and addresses under which the API may be called, without a port ("127.0.0.1", "localhost"). */
  readonly hosts: readonly string[];
  readonly scheme: 'http' | 'https';
}

/**
 * Who may call the API over TCP. A page of another site can make a browser send requests here, and a name that is rebound to
 * 127.0.0.1 makes them look like its own: so the `Host` must be ours, a cross-site request is refused, and nothing is answered
 * without a session (cookie) or the bearer token.
 */
export class Access {
  readonly #options: AccessOptions;
  readonly #oneTime = new Set<string>();
  readonly #bearerDigest: Buffer;
  #port = 0;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.#bearerDigest = digest(this.bearerToken());
  }

  /** Known once the port is. */
  listening(port: number): void {
    this.#port = port;
  }

  /** For programs: `Authorization: Bearer TOKEN`. The same as long as the state directory is. */
  bearerToken(): string {
    return createHmac('sha256', this.#options.secret).update('api bearer token').digest('base64url');
  }

  /** To be opened once. */
  oneTimeToken(): string {
    const token = randomBytes(SECRET_BYTES).toString('base64url');
    for (const oldest of this.#oneTime) {
      if (this.#oneTime.size < MAX_ONE_TIME_TOKENS) break;
      this.#oneTime.delete(oldest);
    }
    this.#oneTime.add(digest(token).toString('hex'));
    return token;
  }

  /** The `Set-Cookie` for a one-time token, which then is used up; undefined where it is wrong. */
  redeem(token: string): string | undefined {
    if (!this.#oneTime.delete(digest(token).toString('hex'))) return undefined;
    const expires = this.#options.clock.now() + SESSION_MS;
    const claims = `${expires}.${randomBytes(16).toString('base64url')}`;
    const secure = this.#options.scheme === 'https' ? '; Secure' : '';
    return `${this.#cookieName()}=${claims}.${this.#sign(claims)}; Path=/; Max-Age=${SESSION_MS / 1000}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** Every request over TCP. Throws an `ApiFailure`. */
  checkHost(request: IncomingMessage): void {
    const host = request.headers.host ?? '';
    if (!this.#isOwn(host)) {
      throw new ApiFailure(
        403,
        'BAD_HOST',
        `The Host "${printable(host)}" is none of this control plane's`,
        'Host',
        `Call it as ${this.#options.hosts[0]}:${this.#port}, or start it with --external-name`,
      );
    }
    const origin = request.headers.origin;
    if (origin !== undefined && !this.#isOwnOrigin(origin)) {
      throw new ApiFailure(403, 'CROSS_SITE', `A page of ${printable(origin)} may not call this control plane`, 'Origin', 'Open its own dashboard');
    }
    const site = request.headers['sec-fetch-site'];
    // A link or a typed address is a navigation, which shows the page to its own reader alone.
    if (site !== undefined && site !== 'same-origin' && site !== 'none' && request.headers['sec-fetch-mode'] !== 'navigate') {
      throw new ApiFailure(403, 'CROSS_SITE', 'A page of another site may not call this control plane', 'Sec-Fetch-Site', 'Open its own dashboard');
    }
  }

  /** Requests for data. Throws an `ApiFailure`. */
  checkCaller(request: IncomingMessage): void {
    const authorization = request.headers.authorization;
    if (authorization !== undefined) {
      const token = /^Bearer ([\w-]{1,200})$/.exec(authorization)?.[1];
      if (token !== undefined && timingSafeEqual(digest(token), this.#bearerDigest)) return;
      throw new ApiFailure(
        401,
        'BAD_TOKEN',
        'The bearer token is wrong',
        'Authorization',
        'It is in run/api-token of the state directory, on the machine of the control plane',
      );
    }
    if (!this.hasSession(request)) {
      throw new ApiFailure(
        401,
        'NO_SESSION',
        'Nobody is signed in',
        request.url ?? '',
        'Open the address that rig up printed, or a new one from `rig dashboard`',
      );
    }
    // With a cookie a request may be a browser's that another page has driven; its own page always says where it comes from.
    if (request.method !== 'GET' && request.method !== 'HEAD' && request.headers.origin === undefined && request.headers['sec-fetch-site'] !== 'same-origin') {
      throw new ApiFailure(403, 'CROSS_SITE', 'A change with a session needs the Origin of the dashboard', 'Origin', 'Programs use the bearer token instead');
    }
  }

  /** Of a browser that opened an address of ours before. */
  hasSession(request: IncomingMessage): boolean {
    const name = `${this.#cookieName()}=`;
    const value = (request.headers.cookie ?? '')
      .split(';')
      .map((cookie) => cookie.trim())
      .find((cookie) => cookie.startsWith(name))
      ?.slice(name.length);
    const match = /^((\d{1,16})\.[\w-]{1,64})\.([\w-]{43})$/.exec(value ?? '');
    if (match === null) return false;
    const [, claims = '', expires = '', signature = ''] = match;
    return timingSafeEqual(Buffer.from(signature), Buffer.from(this.#sign(claims))) && Number(expires) > this.#options.clock.now();
  }

  #sign(claims: string): string {
    return createHmac('sha256', this.#options.secret).update(`session ${claims}`).digest('base64url');
  }

  /** Cookies are shared between the ports of a host. */
  #cookieName(): string {
    return `outrigger_${this.#port}`;
  }

  #isOwn(host: string): boolean {
    const defaultPort = this.#options.scheme === 'https' ? 443 : 80;
    return this.#options.hosts.some((name) => {
      const own = name.includes(':') ? `[${name}]` : name;
      return host.toLowerCase() === `${own}:${this.#port}` || (this.#port === defaultPort && host.toLowerCase() === own);
    });
  }

  #isOwnOrigin(origin: string): boolean {
    const prefix = `${this.#options.scheme}://`;
    return origin.startsWith(prefix) && this.#isOwn(origin.slice(prefix.length));
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
