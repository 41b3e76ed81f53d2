import { parseIp } from '../filters/rbac/ip-address.ts';
import { selects, type TlvSelection } from '../xds/tlv-selection.ts';

/** What the header of the PROXY protocol says: who connected, and where to. Empty hosts: nobody did, this proxy speaks for itself. */
export interface ProxiedConnection {
  readonly sourceHost: string;
  readonly sourcePort: number;
  readonly destinationHost: string;
  readonly destinationPort: number;
  /** TLVs of the header that came with it, whole. */
  readonly tlvs: Buffer;
}

export const OWN_CONNECTION: ProxiedConnection = { sourceHost: '', sourcePort: 0, destinationHost: '', destinationPort: 0, tlvs: Buffer.alloc(0) };

/** Section 2.2 of the PROXY protocol's specification. */
const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** What is sent before anything else on a connection to an upstream that wants the PROXY protocol. */
export function proxyHeader(version: 1 | 2, connection: ProxiedConnection, tlvs: TlvSelection): Buffer {
  // An address of each family, or none: nothing that the header could say.
  const known = parseIp(connection.sourceHost).family === parseIp(connection.destinationHost).family && parseIp(connection.sourceHost).family !== 0;
  const said = known ? connection : OWN_CONNECTION;
  return version === 1 ? header1(said) : header2(said, tlvs);
}

function header1({ sourceHost, sourcePort, destinationHost, destinationPort }: ProxiedConnection): Buffer {
  if (sourceHost === '') return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const family = parseIp(sourceHost).family === 6 ? 'TCP6' : 'TCP4';
  return Buffer.from(`PROXY ${family} ${sourceHost} ${destinationHost} ${sourcePort} ${destinationPort}\r\n`, 'latin1');
}

function header2({ sourceHost, sourcePort, destinationHost, destinationPort, tlvs }: ProxiedConnection, selection: TlvSelection): Buffer {
  if (sourceHost === '') return Buffer.concat([V2_SIGNATURE, Buffer.from([V2_LOCAL, 0, 0, 0])]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  const addresses = Buffer.concat([addressBytes(sourceHost), addressBytes(destinationHost), ports]);
  const passed = selected(tlvs, selection);
  const head = Buffer.from([V2_PROXY, parseIp(sourceHost).family === 6 ? TCP_OVER_IPV6 : TCP_OVER_IPV4, 0, 0]);
  head.writeUInt16BE(addresses.length + passed.length, 2);
  return Buffer.concat([V2_SIGNATURE, head, addresses, passed]);
}

/** Of whole TLVs those that are to be passed on. */
function selected(tlvs: Buffer, selection: TlvSelection): Buffer {
  if (tlvs.length === 0 || selection === 'all') return tlvs;
  const kept: Buffer[] = [];
  for (let at = 0; at < tlvs.length; ) {
    const end = at + 3 + tlvs.readUInt16BE(at + 1);
    if (selects(selection, tlvs[at]!)) kept.push(tlvs.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

function addressBytes(host: string): Buffer {
  const { family, words } = parseIp(host);
  const used = family === 4 ? words.slice(3) : words;
  const bytes = Buffer.alloc(used.length * 4);
  for (const [index, word] of used.entries()) bytes.writeUInt32BE(word, index * 4);
  return bytes;
}
