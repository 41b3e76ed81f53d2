import net from 'node:net';
import type { ProxyProtocolConfig } from '../xds/listener-config.ts';
import { selects, type TlvSelection } from '../xds/tlv-selection.ts';
import type { ConnectionOrigin } from './connection-origin.ts';
import type { ListenerFilter, Looked } from './listener-filter.ts';
import { ipv6Of } from './original-destination.ts';

/** Section 2.2 of the PROXY protocol's specification. */
const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_HEADER_BYTES = 16;
const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
/** Section 2.1: the longest line with its CRLF. */
const V1_MAX_BYTES = 107;
const MAX_V2_BYTES = V2_HEADER_BYTES + 0xffff;

const COMMAND = { LOCAL: 0, PROXY: 1 } as const;
const FAMILY = { UNSPECIFIED: 0, IPV4: 1, IPV6: 2 } as const;
/** The other end may have been spoken to by datagrams; its address is one all the same. */
const STREAM = 1;
const DATAGRAM = 2;
const IPV4_BYTES = 12;
const IPV6_BYTES = 36;

/** envoy.filters.listener.proxy_protocol: who connected, as a load balancer before this proxy says it. */
export class ProxyProtocolFilter implements ListenerFilter {
  readonly peeks = false;
  readonly maxBytes = MAX_V2_BYTES;
  readonly #config: ProxyProtocolConfig;

  constructor(config: ProxyProtocolConfig) {
    this.#config = config;
  }

  look(bytes: Buffer, origin: ConnectionOrigin): Looked {
    const v2 = begins(bytes, V2_SIGNATURE);
    if (v2 === 'yes') return this.#config.v2 ? readV2(bytes, origin, this.#config.tlvs) : this.#without();
    const v1 = begins(bytes, V1_SIGNATURE);
    if (v1 === 'yes') return this.#config.v1 ? readV1(bytes, origin) : this.#without();
    return v1 === 'maybe' || v2 === 'maybe' ? 'more' : this.#without();
  }

  #without(): Looked {
    return this.#config.allowWithout ? 0 : 'refuse';
  }
}

function begins(bytes: Buffer, signature: Buffer): 'yes' | 'no' | 'maybe' {
  const length = Math.min(bytes.length, signature.length);
  if (bytes.compare(signature, 0, length, 0, length) !== 0) return 'no';
  return length < signature.length ? 'maybe' : 'yes';
}

/** "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" */
function readV1(bytes: Buffer, origin: ConnectionOrigin): Looked {
  const end = bytes.indexOf('\r\n', 0, 'latin1');
  if (end < 0) return bytes.length < V1_MAX_BYTES ? 'more' : 'refuse';
  if (end + 2 > V1_MAX_BYTES) return 'refuse';
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] = bytes.latin1Slice(0, end).split(' ');
  // Whatever stands behind it is to be ignored, and the connection's own addresses hold.
  if (family === 'UNKNOWN') return end + 2;
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0;
  const ports = [sourcePort, destinationPort];
  if (
    version === 0 ||
    rest.length > 0 ||
    net.isIP(source) !== version ||
    net.isIP(destination) !== version ||
    !ports.every((port) => /^(0|[1-9]\d{0,4})$/.test(port) && Number(port) < 65_536)
  )
    return 'refuse';
  setAddresses(origin, source, Number(sourcePort), destination, Number(destinationPort));
  return end + 2;
}

function readV2(bytes: Buffer, origin: ConnectionOrigin, kept: TlvSelection): Looked {
  if (bytes.length < V2_HEADER_BYTES) return 'more';
  const versionAndCommand = bytes[12]!;
  if (versionAndCommand >> 4 !== 2) return 'refuse';
  const command = versionAndCommand & 0x0f;
  if (command > COMMAND.PROXY) return 'refuse';
  const end = V2_HEADER_BYTES + bytes.readUInt16BE(14);
  if (bytes.length < end) return 'more';
  // The balancer's own connection, a health check: its addresses are the connection's.
  if (command === COMMAND.LOCAL) return end;
  const family = bytes[13]! >> 4;
  const transport = bytes[13]! & 0x0f;
  // UNSPEC carries no address that is known, UNIX none that a TCP connection has.
  if (family === FAMILY.UNSPECIFIED) return end;
  if (transport !== STREAM && transport !== DATAGRAM) return 'refuse';
  const body = bytes.subarray(V2_HEADER_BYTES, end);
  if (family === FAMILY.IPV4) {
    if (body.length < IPV4_BYTES) return 'refuse';
    setAddresses(origin, ipv4(body, 0), body.readUInt16BE(8), ipv4(body, 4), body.readUInt16BE(10));
    return keepTlvs(body, IPV4_BYTES, origin, kept) ? end : 'refuse';
  }
  if (family === FAMILY.IPV6) {
    if (body.length < IPV6_BYTES) return 'refuse';
    setAddresses(origin, ipv6Of(body.subarray(0, 16)), body.readUInt16BE(32), ipv6Of(body.subarray(16, 32)), body.readUInt16BE(34));
    return keepTlvs(body, IPV6_BYTES, origin, kept) ? end : 'refuse';
  }
  return 'refuse';
}

/** Section 2.2.7: type (1 byte), length (2 bytes), value. False: they are not whole. */
function keepTlvs(body: Buffer, from: number, origin: ConnectionOrigin, kept: TlvSelection): boolean {
  let at = from;
  const found: Buffer[] = [];
  while (at + 3 <= body.length) {
    const end = at + 3 + body.readUInt16BE(at + 1);
    if (end > body.length) return false;
    // A copy: the bytes are a window on what was read.
    if (selects(kept, body[at]!)) found.push(Buffer.from(body.subarray(at, end)));
    at = end;
  }
  if (at !== body.length) return false;
  if (found.length > 0) origin.tlvs = Buffer.concat(found);
  return true;
}

function ipv4(body: Buffer, at: number): string {
  return body.subarray(at, at + 4).join('.');
}

function setAddresses(origin: ConnectionOrigin, source: string, sourcePort: number, destination: string, destinationPort: number): void {
  origin.restored = true;
  origin.remoteIp = source;
  origin.remotePort = sourcePort;
  origin.localIp = destination;
  origin.localPort = destinationPort;
}
