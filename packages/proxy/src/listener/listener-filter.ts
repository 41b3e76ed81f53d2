import { MAX_CLIENT_HELLO_BYTES, sniffClientHello } from '../tls/client-hello.ts';
import type { ListenerFilterConfig } from '../xds/listener-config.ts';
import type { ConnectionOrigin } from './connection-origin.ts';
import { ProxyProtocolFilter } from './proxy-protocol.ts';

/** 'more': undecided; 'refuse': the connection is closed; a number: decided, and so many bytes are taken away. */
export type Looked = 'more' | 'refuse' | number;

/** Learns something of a connection from its first bytes. */
export interface ListenerFilter {
  /** True: it takes nothing away, and a client that says nothing has decided it just as well. */
  readonly peeks: boolean;
  /** Bytes that it may keep undecided. */
  readonly maxBytes: number;
  look(bytes: Buffer, origin: ConnectionOrigin): Looked;
}

/** envoy.filters.listener.tls_inspector */
export const TLS_INSPECTOR: ListenerFilter = {
  peeks: true,
  // With the headers of its records.
  maxBytes: MAX_CLIENT_HELLO_BYTES + 4096,
  look(bytes, origin) {
    const sniffed = sniffClientHello(bytes);
    if (sniffed === 'more') return 'more';
    if (sniffed === 'bad') return 'refuse';
    if (sniffed === 'raw') return 0;
    origin.transportProtocol = 'tls';
    origin.serverName = sniffed.serverName;
    origin.applicationProtocols = sniffed.applicationProtocols;
    return 0;
  },
};

/** RFC 9113 section 3.4, as far as it tells HTTP/2 from a request line. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n', 'latin1');
const MAX_REQUEST_LINE_BYTES = 64 * 1024;
/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const REQUEST_LINE = /^\S+ \S+ HTTP\/1\.([01])$/;
/** No method that is registered is longer. */
const MAX_METHOD_BYTES = 32;
const LINE_FEED = 10;

/** envoy.filters.listener.http_inspector: "h2c", "http/1.0" or "http/1.1" for plain HTTP, nothing for what is none. */
export const HTTP_INSPECTOR: ListenerFilter = {
  peeks: true,
  maxBytes: MAX_REQUEST_LINE_BYTES,
  look(bytes, origin) {
    if (origin.transportProtocol === 'tls') return 0;
    const protocol = protocolOf(bytes);
    if (protocol === 'more') return 'more';
    if (protocol !== '') origin.applicationProtocols = [protocol];
    return 0;
  },
};

function protocolOf(bytes: Buffer): string {
  if (bytes.length === 0) return 'more';
  const length = Math.min(bytes.length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, length, 0, length) === 0) return length < PREFACE.length ? 'more' : 'h2c';
  const end = bytes.indexOf(LINE_FEED);
  if (end >= 0) {
    const version = REQUEST_LINE.exec(bytes.latin1Slice(0, end).replace(/\r$/, ''))?.[1];
    return version === undefined ? '' : `http/1.${version}`;
  }
  // A method, one space, and the begin of a target may yet become a request line.
  const text = bytes.toString('latin1', 0, MAX_METHOD_BYTES + 1);
  const space = text.indexOf(' ');
  const method = space < 0 ? text : text.slice(0, space);
  return method.length <= MAX_METHOD_BYTES && TOKEN.test(method) && bytes.length < MAX_REQUEST_LINE_BYTES ? 'more' : '';
}

export function makeFilter(config: ListenerFilterConfig): ListenerFilter {
  switch (config.kind) {
    case 'proxy-protocol':
      return new ProxyProtocolFilter(config);
    case 'tls-inspector':
      return TLS_INSPECTOR;
    case 'http-inspector':
      return HTTP_INSPECTOR;
  }
}
