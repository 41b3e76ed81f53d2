import { isAuthority, isAuthorityWithPort } from '../http/authority.ts';
import { canonicalLength } from '../http/field-bytes.ts';
import { HeaderKind, type HeaderName, type HeaderNames } from '../http/header-names.ts';
import { type HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import { ownText } from '../http/own-text.ts';
import { applyUnderscores, type UnderscoresAction } from '../http/underscores.ts';
import { HeadScanner } from './head-scanner.ts';
import type { Http1Options } from './options.ts';

const SPACE = 32;
const TAB = 9;
const SLASH = 47;

/** Digits of a Content-Length: what fits a safe integer. */
const MAX_LENGTH_DIGITS = 15;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DIGITS = /^[0-9]+$/;
const HTTP_VERSION = /^HTTP\/[0-9]\.[0-9]$/;
const ABSOLUTE_FORM = /^(https?):\/\/([^/?]+)(.*)$/i;
/**
 * End-to-end headers that a Connection header cannot take off: a client could otherwise strip what the proxies before
 * have added, or the body's length.
 */
const NOT_NOMINATED: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'authorization',
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-client-cert',
  'x-request-id',
  'traceparent',
]);

/** What RFC 3986 has percent-encoded is white space to some readers (0x85, 0xa0), and a fragment is none of a server's business. */
const NOT_IN_TARGET = /[#\x80-\xff]/;

/** Interned: methods of requests are compared often. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/**
 * Turns a scanned head into a message with one meaning (RFC 9112 sections 3 to 6), or says why it has none. The fields
 * below hold what the last head said about its connection.
 */
export class HeadDecoder {
  readonly scanner: HeadScanner;
  /** Of a head that was refused: the status to answer and why. */
  status: number;
  error: string;
  keepAlive: boolean;
  chunked: boolean;
  private contentLength: number;
  private transferEncoding: string;
  private closeToken: boolean;
  private keepAliveToken: boolean;
  private upgradeToken: boolean;
  private nominated: string[] | null;
  private upgrade: string;
  private host: string | null;
  private expectContinue: boolean;
  private trailersAccepted: boolean;
  /** Host and Expect mean nothing in a response: they pass. */
  private ofResponse: boolean;
  private lastAuthority: string;
  private readonly names: HeaderNames;
  private readonly maxBodyBytes: number;
  private readonly underscores: UnderscoresAction;

  constructor(options: Http1Options) {
    this.scanner = new HeadScanner(options);
    this.status = 0;
    this.error = '';
    this.keepAlive = true;
    this.chunked = false;
    this.contentLength = -1;
    this.transferEncoding = '';
    this.closeToken = false;
    this.keepAliveToken = false;
    this.upgradeToken = false;
    this.nominated = null;
    this.upgrade = '';
    this.host = null;
    this.expectContinue = false;
    this.trailersAccepted = false;
    this.ofResponse = false;
    this.lastAuthority = '';
    this.names = options.names;
    this.maxBodyBytes = options.maxBodyBytes;
    this.underscores = options.underscores;
  }

  /** `text` is the whole head, with its last empty line. */
  request(text: string): RequestHead | null {
    const head = new RequestHead();
    const lineEnd = this.scanner.startLineEnd;
    const methodEnd = text.indexOf(' ');
    const targetEnd = text.indexOf(' ', methodEnd + 1);
    if (methodEnd < 1 || targetEnd <= methodEnd + 1 || targetEnd >= lineEnd) return this.refuse(400, 'malformed request line');
    const method = text.slice(0, methodEnd);
    if (!METHODS.has(method) && !TOKEN.test(method)) return this.refuse(400, 'invalid method');
    const version = this.version(text.slice(targetEnd + 1, lineEnd));
    if (version === 0) return null;
    head.method = method;
    head.version = version;
    this.ofResponse = false;
    let headers = this.fields(text);
    if (headers !== null && this.underscores !== 'allow') headers = this.withoutUnderscores(headers);
    if (headers === null) return null;
    head.headers = headers;
    if (!this.target(text.slice(methodEnd + 1, targetEnd), head)) return null;
    if (!this.requestFraming(head)) return null;
    this.forget();
    this.keepAlive = !this.closeToken && (version === 11 || this.keepAliveToken);
    head.expectContinue = this.expectContinue && version === 11 && head.bodyLength !== 0;
    return head;
  }

  /** `method` is that of the request that this answers. */
  response(text: string, method: string): ResponseHead | null {
    const head = new ResponseHead();
    const lineEnd = this.scanner.startLineEnd;
    // "HTTP/1.1 200" may lack the space before an empty reason (RFC 9112 section 4 asks for it, servers leave it out).
    if (text.charCodeAt(8) !== SPACE || lineEnd < 12 || (lineEnd > 12 && text.charCodeAt(12) !== SPACE)) return this.refuse(502, 'malformed status line');
    head.version = this.version(text.slice(0, 8));
    if (head.version === 0) return null;
    const digits = text.slice(9, 12);
    head.status = DIGITS.test(digits) ? +digits : 0;
    if (head.status < 100 || head.status > 599) return this.refuse(502, 'invalid status');
    head.reason = text.slice(13, lineEnd);
    this.ofResponse = true;
    const headers = this.fields(text);
    if (headers === null) return null;
    head.headers = headers;
    this.keepAlive = !this.closeToken && (head.version === 11 || this.keepAliveToken);
    if (!this.responseFraming(head, method)) return null;
    this.forget();
    return head;
  }

  /** Texts cut out of the head would keep it alive until the next one. */
  private forget(): void {
    this.host = null;
    this.upgrade = '';
    this.nominated = null;
    this.transferEncoding = '';
  }

  /** Trailers without those that say something about framing, routing or the connection (RFC 9110 section 6.5.1). */
  trailers(text: string): HeaderList | null {
    const { offsets, found, count } = this.scanner;
    const list: HeaderList = [];
    for (let i = 0, j = 0; i < count; i++, j += 4) {
      const name = found[i] ?? this.names.lookup(text.slice(offsets[j]!, offsets[j + 1]!));
      if (name.kind === HeaderKind.ORDINARY) list.push(name.wire, value(text, offsets[j + 2]!, offsets[j + 3]!));
    }
    return this.underscores === 'allow' ? list : this.withoutUnderscores(list);
  }

  private withoutUnderscores(headers: HeaderList): HeaderList | null {
    return applyUnderscores(headers, this.underscores) ?? this.refuse(400, 'header name with an underscore');
  }

  private fields(text: string): HeaderList | null {
    const { offsets, found, count } = this.scanner;
    const headers: HeaderList = [];
    this.contentLength = -1;
    this.transferEncoding = '';
    this.closeToken = false;
    this.keepAliveToken = false;
    this.upgradeToken = false;
    this.nominated = null;
    this.upgrade = '';
    this.host = null;
    this.expectContinue = false;
    this.trailersAccepted = false;
    for (let i = 0, j = 0; i < count; i++, j += 4) {
      const name = found[i] ?? this.names.lookup(text.slice(offsets[j]!, offsets[j + 1]!));
      const text_ = value(text, offsets[j + 2]!, offsets[j + 3]!);
      if (name.kind === HeaderKind.ORDINARY) headers.push(name.wire, text_);
      else if (!this.special(name, text_, headers)) return null;
    }
    return this.nominated === null ? headers : withoutNominated(headers, this.nominated, this.names);
  }

  private special(name: HeaderName, value: string, headers: HeaderList): boolean {
    switch (name.kind) {
      case HeaderKind.HOST:
        if (this.ofResponse) headers.push(name.wire, value);
        else if (this.host !== null) return this.fail(400, 'more than one Host');
        else this.host = value;
        return true;
      case HeaderKind.CONTENT_LENGTH:
        if (this.contentLength >= 0) return this.fail(400, 'more than one Content-Length');
        if (value.length > MAX_LENGTH_DIGITS || !DIGITS.test(value)) return this.fail(400, 'invalid Content-Length');
        this.contentLength = +value;
        headers.push(name.wire, canonicalLength(value));
        return true;
      case HeaderKind.TRANSFER_ENCODING:
        this.transferEncoding = this.transferEncoding === '' ? value.toLowerCase() || '?' : this.transferEncoding + ',' + value.toLowerCase();
        return true;
      case HeaderKind.CONNECTION:
        this.connectionTokens(value);
        return true;
      case HeaderKind.TE:
        if (!this.trailersAccepted && /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)) {
          this.trailersAccepted = true;
          headers.push(name.wire, 'trailers');
        }
        return true;
      case HeaderKind.UPGRADE:
        this.upgrade = this.upgrade === '' ? value : this.upgrade + ', ' + value;
        return true;
      case HeaderKind.EXPECT:
        if (this.ofResponse) headers.push(name.wire, value);
        else if (value.toLowerCase() !== '100-continue') return this.fail(417, 'unknown expectation');
        else this.expectContinue = true;
        return true;
      case HeaderKind.HOP_BY_HOP:
        return true;
      case HeaderKind.COOKIE:
        headers.push(name.wire, value);
        return true;
      default:
        return this.fail(400, 'invalid header name');
    }
  }

  private connectionTokens(value: string): void {
    if (value === 'keep-alive') {
      this.keepAliveToken = true;
      return;
    }
    for (const part of value.toLowerCase().split(',')) {
      const token = part.trim();
      if (token === 'close') this.closeToken = true;
      else if (token === 'keep-alive') this.keepAliveToken = true;
      else if (token === 'upgrade') this.upgradeToken = true;
      else if (token !== '' && token !== 'te' && !NOT_NOMINATED.has(token)) {
        if (this.nominated === null) this.nominated = [token];
        else this.nominated.push(token);
      }
    }
  }

  /** RFC 9112 section 3.2. */
  private target(target: string, head: RequestHead): boolean {
    if (head.version === 11 && this.host === null) return this.fail(400, 'no Host');
    const host = this.host ?? '';
    if (host !== this.lastAuthority) {
      if (host !== '' && !isAuthority(host)) return this.fail(400, 'invalid Host');
      this.lastAuthority = ownText(host);
    }
    head.authority = host;
    if (head.method === 'CONNECT') {
      if (!isAuthorityWithPort(target)) return this.fail(400, 'CONNECT without host and port');
      head.authority = target;
      return true;
    }
    if (NOT_IN_TARGET.test(target)) return this.fail(400, 'fragment or byte beyond ASCII in the request target');
    if (target.charCodeAt(0) === SLASH) {
      head.path = target;
      return true;
    }
    if (target === '*') {
      if (head.method !== 'OPTIONS') return this.fail(400, 'request target "*" for a method other than OPTIONS');
      head.path = target;
      return true;
    }
    const absolute = ABSOLUTE_FORM.exec(target);
    if (absolute === null || !isAuthority(absolute[2]!)) return this.fail(400, 'invalid request target');
    head.scheme = absolute[1]!.toLowerCase();
    head.authority = absolute[2]!;
    const path = absolute[3]!;
    if (path === '') head.path = head.method === 'OPTIONS' ? '*' : '/';
    else head.path = path.charCodeAt(0) === SLASH ? path : '/' + path;
    return true;
  }

  /** RFC 9112 section 6.3, where a doubt is a refusal. */
  private requestFraming(head: RequestHead): boolean {
    this.chunked = false;
    if (this.transferEncoding !== '') {
      if (head.version === 10) return this.fail(400, 'Transfer-Encoding in HTTP/1.0');
      if (this.contentLength >= 0) return this.fail(400, 'Transfer-Encoding and Content-Length');
      if (this.transferEncoding !== 'chunked') return this.unknownCoding();
      this.chunked = true;
      head.bodyLength = -1;
    } else head.bodyLength = Math.max(this.contentLength, 0);
    if (head.bodyLength > this.maxBodyBytes) return this.fail(413, 'content too large');
    if (head.method === 'CONNECT') {
      if (head.bodyLength !== 0) return this.fail(400, 'CONNECT with content');
      head.bodyLength = -1;
    } else if (this.upgradeToken && this.upgrade !== '' && head.version === 11 && head.bodyLength === 0) {
      head.protocol = upgradeProtocol(this.upgrade);
      if (head.protocol !== '') head.bodyLength = -1;
    }
    return true;
  }

  private responseFraming(head: ResponseHead, method: string): boolean {
    const status = head.status;
    this.chunked = false;
    if (status < 200) {
      head.bodyLength = 0;
      if (status === 101) {
        head.tunnel = true;
        head.bodyLength = -1;
        head.protocol = this.upgrade.toLowerCase();
      }
      return true;
    }
    if (method === 'CONNECT' && status < 300) {
      head.tunnel = true;
      head.bodyLength = -1;
      return true;
    }
    if (this.transferEncoding !== '') {
      if (head.version === 10) return this.fail(502, 'Transfer-Encoding in HTTP/1.0');
      if (this.contentLength >= 0) return this.fail(502, 'Transfer-Encoding and Content-Length');
      if (this.transferEncoding !== 'chunked') return this.fail(502, 'unknown Transfer-Encoding');
    }
    if (method === 'HEAD' || status === 204 || status === 304) {
      head.bodyLength = 0;
      return true;
    }
    this.chunked = this.transferEncoding !== '';
    head.bodyLength = this.contentLength;
    if (!this.chunked && this.contentLength < 0) this.keepAlive = false;
    return head.bodyLength > this.maxBodyBytes ? this.fail(502, 'content too large') : true;
  }

  private unknownCoding(): boolean {
    const codings = this.transferEncoding.split(',').map((coding) => coding.replace(/^[ \t]+|[ \t]+$/g, ''));
    const chunked = codings.indexOf('chunked');
    if (chunked !== codings.length - 1 || codings.includes('') || !codings.every((coding) => TOKEN.test(coding))) {
      return this.fail(400, 'Transfer-Encoding does not end in chunked');
    }
    return this.fail(501, 'unknown Transfer-Encoding');
  }

  /** 10 or 11; 0 was refused. */
  private version(text: string): number {
    if (text === 'HTTP/1.1') return 11;
    if (text === 'HTTP/1.0') return 10;
    if (!HTTP_VERSION.test(text)) this.fail(400, 'malformed HTTP version');
    // RFC 9110 section 2.5: a higher minor version is read as the highest known one.
    else if (text.charCodeAt(5) === 49) return 11;
    else this.fail(505, 'HTTP version not supported');
    return 0;
  }

  private fail(status: number, error: string): false {
    this.status = status;
    this.error = error;
    return false;
  }

  private refuse(status: number, error: string): null {
    this.status = status;
    this.error = error;
    return null;
  }
}

function value(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && (text.charCodeAt(last - 1) === SPACE || text.charCodeAt(last - 1) === TAB)) last--;
  return text.slice(start, last);
}

function withoutNominated(headers: HeaderList, nominated: readonly string[], names: HeaderNames): HeaderList {
  const kept: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!nominated.includes(names.lookup(headers[i]!).lower)) kept.push(headers[i]!, headers[i + 1]!);
  }
  return kept;
}

/** RFC 9110 section 7.8: a name, and perhaps a version. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9a-z]+(?:\/[!#$%&'*+\-.^_`|~0-9a-z]+)?$/;

/** Without h2c, which RFC 9113 no longer upgrades to. '' too where it is not what HTTP/2 could carry further. */
function upgradeProtocol(upgrade: string): string {
  const lower = upgrade.toLowerCase();
  if (lower.indexOf(',') < 0) return lower !== 'h2c' && PROTOCOL.test(lower) ? lower : '';
  const protocols = lower.split(',').map((protocol) => protocol.trim());
  const known = protocols.filter((protocol) => protocol !== '' && protocol !== 'h2c');
  return known.every((protocol) => PROTOCOL.test(protocol)) ? known.join(', ') : '';
}
