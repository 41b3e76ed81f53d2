import { isAuthority, isAuthorityWithPort } from '../http/authority.ts';
import { canonicalLength } from '../http/field-bytes.ts';
import { HeaderKind, type HeaderName } from '../http/header-names.ts';
import { type HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import { applyUnderscores, type UnderscoresAction } from '../http/underscores.ts';
import type { FieldSink } from './hpack-decoder.ts';
import type { Http2Options } from './options.ts';
import { ENTRY_OVERHEAD_BYTES } from './static-table.ts';

const MAX_LENGTH_DIGITS = 15;
const BOMB_FACTOR = 16;
const DIGITS = /^[0-9]+$/;
const SLASH = 47;
const COLON = 58;
/** What an HTTP/1 request line could not carry, or what would end it in some reader's eyes. */
const NOT_IN_PATH = /[\t #\x80-\xff]/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The fields of one header block as they are decoded, and what RFC 9113 section 8 makes of them. One per connection,
 * begun anew for each block. A malformed block is one whose `error` is set after it was read as what it is.
 */
export class FieldSection implements FieldSink {
  error: string;
  /** Over a limit: the fields that came later were not kept. */
  tooLarge: boolean;
  private headers: HeaderList;
  private neverIndexed: string[] | null;
  private bytes: number;
  private count: number;
  private method: string;
  private scheme: string;
  private path: string;
  private authority: string | null;
  private status: string;
  private protocol: string;
  private host: string | null;
  private cookie: string;
  private contentLength: number;
  private expectContinue: boolean;
  private regular: boolean;
  /** Pseudo-headers so far, and which, by bits of their kinds. */
  private pseudo: number;
  private seen: number;
  private lastAuthority: string;
  private readonly maxBytes: number;
  private readonly maxCount: number;
  private readonly underscores: UnderscoresAction;

  constructor(options: Http2Options) {
    this.error = '';
    this.tooLarge = false;
    this.headers = [];
    this.neverIndexed = null;
    this.bytes = 0;
    this.count = 0;
    this.method = '';
    this.scheme = '';
    this.path = '';
    this.authority = null;
    this.status = '';
    this.protocol = '';
    this.host = null;
    this.cookie = '';
    this.contentLength = -1;
    this.expectContinue = false;
    this.regular = false;
    this.pseudo = 0;
    this.seen = 0;
    this.lastAuthority = '';
    this.maxBytes = options.maxHeaderListBytes;
    this.maxCount = options.maxHeaderCount;
    this.underscores = options.underscores;
  }

  /** So much more than its limit is no mistake: a block of 16 KB can name 60 MB of the table. */
  get isBomb(): boolean {
    return this.bytes > this.maxBytes * BOMB_FACTOR;
  }

  begin(): void {
    this.error = '';
    this.tooLarge = false;
    this.headers = [];
    this.neverIndexed = null;
    this.bytes = 0;
    this.count = 0;
    this.method = '';
    this.scheme = '';
    this.path = '';
    this.authority = null;
    this.status = '';
    this.protocol = '';
    this.host = null;
    this.cookie = '';
    this.contentLength = -1;
    this.expectContinue = false;
    this.regular = false;
    this.pseudo = 0;
    this.seen = 0;
  }

  add(name: HeaderName, value: string, never: boolean): void {
    this.bytes += name.wire.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (this.bytes > this.maxBytes) {
      this.tooLarge = true;
      return;
    }
    if (never) this.keepNeverIndexed(name.wire);
    if (name.kind === HeaderKind.ORDINARY) {
      this.regular = true;
      if (++this.count > this.maxCount) this.tooLarge = true;
      else this.headers.push(name.wire, value);
    } else this.special(name, value);
  }

  /** The section as a request's head; null where it is malformed. */
  request(fin: boolean): RequestHead | null {
    const extended = this.protocol !== '';
    if (this.method === '') return this.malformed('no :method');
    if (!TOKEN.test(this.method)) return this.malformed('invalid :method');
    if (this.status !== '') return this.malformed(':status in a request');
    const head = new RequestHead();
    head.version = 20;
    if (this.method === 'CONNECT' && !extended) {
      if (this.scheme !== '' || this.path !== '') return this.malformed('CONNECT with :scheme or :path');
      if (this.authority === null || !isAuthorityWithPort(this.authority)) return this.malformed('CONNECT without host and port');
    } else {
      if (extended && this.method !== 'CONNECT') return this.malformed(':protocol without CONNECT');
      if (this.scheme !== 'http' && this.scheme !== 'https') return this.malformed(this.scheme === '' ? 'no :scheme' : 'unknown :scheme');
      if (!this.validPath()) return null;
    }
    const authority = this.requestAuthority();
    if (authority === null) return null;
    if (this.underscores !== 'allow') this.dropUnderscores();
    if (this.error !== '') return null;
    if (fin && this.contentLength > 0) return this.malformed('content-length without content');
    head.method = extended ? 'GET' : this.method;
    head.path = this.path;
    if (this.scheme !== '') head.scheme = this.scheme;
    head.authority = authority;
    head.protocol = this.protocol;
    head.headers = this.headers;
    head.neverIndexed = this.neverIndexed;
    if (this.cookie !== '') head.headers.push('cookie', this.cookie);
    if (this.method === 'CONNECT') head.bodyLength = -1;
    else head.bodyLength = fin ? 0 : this.contentLength;
    head.expectContinue = this.expectContinue && !fin;
    return head;
  }

  /** The section as a response's head; null where it is malformed. */
  response(fin: boolean, method: string, asksTunnel: boolean): ResponseHead | null {
    if (this.pseudo !== 1 || this.status === '') return this.malformed('not exactly one :status');
    if (this.status.length !== 3 || !DIGITS.test(this.status)) return this.malformed('invalid :status');
    if (this.error !== '') return null;
    const head = new ResponseHead();
    head.version = 20;
    head.status = +this.status;
    if (head.status < 100 || head.status > 599 || head.status === 101) return this.malformed('invalid :status');
    if (head.status < 200 && fin) return this.malformed('informational response as the last');
    head.headers = this.headers;
    head.neverIndexed = this.neverIndexed;
    if (this.cookie !== '') head.headers.push('cookie', this.cookie);
    head.tunnel = asksTunnel && head.status >= 200 && head.status < 300;
    const contentless = method === 'HEAD' || head.status === 204 || head.status === 304;
    if (fin && this.contentLength > 0 && !contentless) return this.malformed('content-length without content');
    if (head.tunnel) head.bodyLength = -1;
    else head.bodyLength = fin || contentless ? 0 : this.contentLength;
    return head;
  }

  /** The section as trailers; null where it is malformed. */
  trailers(): HeaderList | null {
    if (this.pseudo > 0) return this.malformed('pseudo-header in trailers');
    if (this.underscores !== 'allow') this.dropUnderscores();
    if (this.error !== '') return null;
    // What says something about framing is nothing for a trailer (RFC 9110 section 6.5.1); the rest of that kind was kept apart.
    const kept: HeaderList = [];
    for (let i = 0; i < this.headers.length; i += 2) {
      const name = this.headers[i]!;
      if (name !== 'content-length' && name !== 'te') kept.push(name, this.headers[i + 1]!);
    }
    return kept;
  }

  private special(name: HeaderName, value: string): void {
    if (name.wire.charCodeAt(0) === COLON && name.kind !== HeaderKind.INVALID) {
      this.pseudoHeader(name.kind, value);
      return;
    }
    this.regular = true;
    if (++this.count > this.maxCount) {
      this.tooLarge = true;
      return;
    }
    switch (name.kind) {
      case HeaderKind.CONTENT_LENGTH:
        if (this.contentLength >= 0 || value.length > MAX_LENGTH_DIGITS || !DIGITS.test(value)) this.malformed('invalid content-length');
        else {
          this.contentLength = +value;
          this.headers.push(name.wire, canonicalLength(value));
        }
        return;
      case HeaderKind.COOKIE:
        // An empty piece would leave a space at an end, which the next HTTP/2 peer must refuse.
        if (value !== '') this.cookie = this.cookie === '' ? value : this.cookie + '; ' + value;
        return;
      case HeaderKind.HOST:
        if (this.host !== null) this.malformed('more than one host');
        this.host = value;
        return;
      case HeaderKind.TE:
        if (value.toLowerCase() === 'trailers') this.headers.push(name.wire, 'trailers');
        else this.malformed('te other than trailers');
        return;
      case HeaderKind.EXPECT:
        if (value.toLowerCase() === '100-continue') this.expectContinue = true;
        else this.malformed('unknown expectation');
        return;
      case HeaderKind.INVALID:
        this.malformed('invalid header name or value');
        return;
      default:
        this.malformed('connection-specific header');
    }
  }

  private pseudoHeader(kind: number, value: string): void {
    if (this.regular) this.malformed('pseudo-header after a header');
    const bit = 1 << kind;
    if ((this.seen & bit) !== 0) this.malformed('pseudo-header twice');
    this.seen |= bit;
    this.pseudo++;
    switch (kind) {
      case HeaderKind.METHOD:
        this.method = value;
        return;
      case HeaderKind.SCHEME:
        this.scheme = value;
        return;
      case HeaderKind.PATH:
        this.path = value;
        return;
      case HeaderKind.AUTHORITY:
        this.authority = value;
        return;
      case HeaderKind.STATUS:
        this.status = value;
        return;
      default:
        this.protocol = value.toLowerCase();
        if (!/^[!#$%&'*+\-.^_`|~0-9a-z/, ]+$/.test(this.protocol)) this.malformed('invalid :protocol');
    }
  }

  private validPath(): boolean {
    const path = this.path;
    if (path.charCodeAt(0) === SLASH) {
      if (!NOT_IN_PATH.test(path)) return true;
    } else if (path === '*' && this.method === 'OPTIONS') return true;
    this.malformed(path === '' ? 'no :path' : 'invalid :path');
    return false;
  }

  /** RFC 9113 section 8.3.1: Host stands in for :authority, and must not contradict it. */
  private requestAuthority(): string | null {
    const authority = this.authority ?? this.host ?? '';
    if (authority !== this.lastAuthority) {
      if (authority !== '' && !isAuthority(authority)) return this.malformed('invalid :authority');
      this.lastAuthority = authority;
    }
    if (this.host !== null && this.host.toLowerCase() !== authority.toLowerCase()) return this.malformed('host differs from :authority');
    return authority;
  }

  private dropUnderscores(): void {
    const kept = applyUnderscores(this.headers, this.underscores);
    if (kept === null) this.malformed('header name with an underscore');
    else this.headers = kept;
  }

  private keepNeverIndexed(name: string): void {
    if (this.neverIndexed === null) this.neverIndexed = [name];
    else if (!this.neverIndexed.includes(name)) this.neverIndexed.push(name);
  }

  private malformed(error: string): null {
    if (this.error === '') this.error = error;
    return null;
  }
}
