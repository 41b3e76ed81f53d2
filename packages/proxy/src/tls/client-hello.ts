/** What the first bytes of a connection say about it (RFC 8446 section 4.1.2; RFC 6066 section 3; RFC 7301). */
export interface ClientHello {
  /** SNI in lower case, '' if none. */
  readonly serverName: string;
  readonly applicationProtocols: readonly string[];
}

/** A ClientHello larger than this (post-quantum key shares are about 2 KiB) is no browser and no proxy. */
export const MAX_CLIENT_HELLO_BYTES = 16 * 1024;

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const EXTENSION_SERVER_NAME = 0;
const EXTENSION_ALPN = 16;

/** 'more': undecided; 'raw': these bytes are not TLS; 'bad': TLS that cannot be read. */
export type Sniffed = ClientHello | 'more' | 'raw' | 'bad';

/** Reads without consuming: `bytes` is everything that has arrived so far. */
export function sniffClientHello(bytes: Buffer): Sniffed {
  if (bytes.length === 0) return 'more';
  if (bytes[0] !== HANDSHAKE_RECORD) return 'raw';
  if (bytes.length < 3) return 'more';
  if (bytes[1] !== 3 || bytes[2]! > 4) return 'raw';
  if (bytes.length < 9) return 'more';
  if (bytes[5] !== CLIENT_HELLO) return 'raw';
  const helloBytes = bytes.readUIntBE(6, 3);
  if (helloBytes > MAX_CLIENT_HELLO_BYTES) return 'bad';
  const hello = joinRecords(bytes, helloBytes + 4);
  if (typeof hello === 'string') return hello;
  return parseHello(hello.subarray(4));
}

/** One ClientHello may lie in several records. */
function joinRecords(bytes: Buffer, wanted: number): Buffer | 'more' | 'bad' {
  const first = bytes.readUInt16BE(3);
  if (first >= wanted) return bytes.length >= 5 + wanted ? bytes.subarray(5, 5 + wanted) : 'more';
  const joined = Buffer.allocUnsafe(wanted);
  let filled = 0;
  let at = 0;
  while (filled < wanted) {
    if (bytes.length < at + 5) return 'more';
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== HANDSHAKE_RECORD || length === 0) return 'bad';
    const take = Math.min(length, wanted - filled);
    if (bytes.length < at + 5 + take) return 'more';
    bytes.copy(joined, filled, at + 5, at + 5 + take);
    filled += take;
    at += 5 + length;
  }
  return joined;
}

function parseHello(hello: Buffer): ClientHello | 'bad' {
  // legacy_version(2) random(32) session_id<0..32> cipher_suites<2..> compression_methods<1..> extensions<..>
  let at = 34;
  if (at >= hello.length) return 'bad';
  at += 1 + hello[at]!;
  if (at + 2 > hello.length) return 'bad';
  at += 2 + hello.readUInt16BE(at);
  if (at >= hello.length) return 'bad';
  at += 1 + hello[at]!;
  let serverName = '';
  let applicationProtocols: string[] = [];
  if (at === hello.length) return { serverName, applicationProtocols };
  if (at + 2 > hello.length) return 'bad';
  const end = at + 2 + hello.readUInt16BE(at);
  if (end !== hello.length) return 'bad';
  at += 2;
  while (at < end) {
    if (at + 4 > end) return 'bad';
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    const body = hello.subarray(at + 4, at + 4 + length);
    if (at + 4 + length > end) return 'bad';
    at += 4 + length;
    if (type === EXTENSION_SERVER_NAME && length > 0) {
      const name = parseServerName(body);
      if (name === undefined) return 'bad';
      serverName = name;
    } else if (type === EXTENSION_ALPN) {
      const names = parseAlpn(body);
      if (names === undefined) return 'bad';
      applicationProtocols = names;
    }
  }
  return { serverName, applicationProtocols };
}

function parseServerName(body: Buffer): string | undefined {
  // server_name_list<1..>: name_type(1), host_name<1..>
  if (body.length < 5 || body.readUInt16BE(0) !== body.length - 2 || body[2] !== 0) return undefined;
  const length = body.readUInt16BE(3);
  if (5 + length > body.length) return undefined;
  return body.toString('latin1', 5, 5 + length).toLowerCase();
}

function parseAlpn(body: Buffer): string[] | undefined {
  if (body.length < 2 || body.readUInt16BE(0) !== body.length - 2) return undefined;
  const names: string[] = [];
  let at = 2;
  while (at < body.length) {
    const length = body[at]!;
    if (length === 0 || at + 1 + length > body.length) return undefined;
    names.push(body.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return names;
}
