/** DNS messages (RFC 1035), as much of them as a question for addresses or for services needs. Bytes come from anybody: nothing of them is trusted. */

export type QueryType = 'A' | 'AAAA' | 'SRV';

const TYPE_NUMBER: Readonly<Record<QueryType, number>> = { A: 1, AAAA: 28, SRV: 33 };
const CNAME = 5;
const SOA = 6;
const OPT = 41;
const CLASS_IN = 1;

const HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** A name has no more labels, and each needs one at most. */
const MAX_POINTERS = 127;
/** What comes unfragmented everywhere. */
const UDP_PAYLOAD_BYTES = 1_232;
/** An answer of 65,535 bytes has no more. */
const MAX_RECORDS = 6_000;

export const RCODE_NO_ERROR = 0;
export const RCODE_FORMAT_ERROR = 1;
export const RCODE_NAME_ERROR = 3;
export const RCODE_NOT_IMPLEMENTED = 4;
const RCODE_NAMES: readonly string[] = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export function rcodeName(rcode: number): string {
  return RCODE_NAMES[rcode] ?? `RCODE ${rcode}`;
}

interface Owned {
  /** Lower case, without the dot at its end; '' is the root. */
  readonly name: string;
  readonly ttlS: number;
}

export interface AddressRecord extends Owned {
  readonly type: 'A' | 'AAAA';
  readonly address: string;
}

export interface SrvRecord extends Owned {
  readonly type: 'SRV';
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

export interface AliasRecord extends Owned {
  readonly type: 'CNAME';
  readonly target: string;
}

export type DnsRecord = AddressRecord | SrvRecord | AliasRecord;

export interface DnsResponse {
  readonly id: number;
  /** undefined: it repeats none, as one does that could not read the question. */
  readonly question: { readonly name: string; readonly type: QueryType } | undefined;
  /** The rest is to be had by TCP. */
  readonly truncated: boolean;
  readonly rcode: number;
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  /** How long "there is none" holds (RFC 2308); undefined: it is not said. */
  readonly negativeTtlS: number | undefined;
}

/** A question to a resolver that asks others itself. `edns` (RFC 6891): an answer may be longer than 512 bytes. */
export function encodeQuery(id: number, name: string, type: QueryType, edns: boolean): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  const bytes = labels.reduce((sum, label) => sum + label.length + 1, 1);
  if (bytes > MAX_NAME_BYTES || labels.some(({ length }) => length === 0 || length > MAX_LABEL_BYTES)) throw new RangeError(`"${name}" is no name of DNS`);
  const message = Buffer.alloc(HEADER_BYTES + bytes + 4 + (edns ? 11 : 0));
  message.writeUInt16BE(id, 0);
  // Recursion desired.
  message.writeUInt16BE(0x0100, 2);
  message.writeUInt16BE(1, 4);
  let at = HEADER_BYTES;
  for (const label of labels) {
    message[at] = label.length;
    at += 1 + label.copy(message, at + 1);
  }
  message.writeUInt16BE(TYPE_NUMBER[type], at + 1);
  message.writeUInt16BE(CLASS_IN, at + 3);
  if (!edns) return message;
  message.writeUInt16BE(1, 10);
  message.writeUInt16BE(OPT, at + 6);
  message.writeUInt16BE(UDP_PAYLOAD_BYTES, at + 8);
  return message;
}

/** undefined: it is no answer that can be read, or one to what nobody here asks. What a truncated one has of its records is left out. */
export function decodeResponse(message: Buffer): DnsResponse | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) === 0 || (flags & 0x7800) !== 0) return undefined;
  const reader = new Reader(message);
  try {
    const questions = message.readUInt16BE(4);
    const question = questions === 1 ? reader.question() : undefined;
    if (questions > 0 && question === undefined) return undefined;
    const truncated = (flags & 0x0200) !== 0;
    const head = { id: message.readUInt16BE(0), question, truncated, rcode: flags & 0x0f };
    if (truncated) return { ...head, answers: [], additionals: [], negativeTtlS: undefined };
    const counts = [6, 8, 10].map((at) => message.readUInt16BE(at)) as [number, number, number];
    if (counts[0] + counts[1] + counts[2] > MAX_RECORDS) return undefined;
    const [answers, authority, additionals] = counts.map((count) => reader.records(count)) as [Section, Section, Section];
    return { ...head, answers: answers.records, additionals: additionals.records, negativeTtlS: authority.negativeTtlS };
  } catch (error) {
    // Past the end, or a name that is none.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

interface Section {
  readonly records: readonly DnsRecord[];
  readonly negativeTtlS: number | undefined;
}

class Reader {
  readonly #message: Buffer;
  #at = HEADER_BYTES;

  constructor(message: Buffer) {
    this.#message = message;
  }

  question(): DnsResponse['question'] {
    const name = this.#name();
    const number = this.#message.readUInt16BE(this.#at);
    const type = (['A', 'AAAA', 'SRV'] as const).find((known) => TYPE_NUMBER[known] === number);
    const known = type !== undefined && this.#message.readUInt16BE(this.#at + 2) === CLASS_IN;
    this.#at += 4;
    return known ? { name, type } : undefined;
  }

  records(count: number): Section {
    const records: DnsRecord[] = [];
    let negativeTtlS: number | undefined;
    for (let index = 0; index < count; index++) {
      const name = this.#name();
      const type = this.#message.readUInt16BE(this.#at);
      const inClass = this.#message.readUInt16BE(this.#at + 2) === CLASS_IN;
      const ttl = this.#message.readUInt32BE(this.#at + 4);
      // One with its highest bit set is 0 (RFC 2181).
      const ttlS = ttl > 0x7fffffff ? 0 : ttl;
      const length = this.#message.readUInt16BE(this.#at + 8);
      const start = this.#at + 10;
      if (start + length > this.#message.length) throw new RangeError('a record goes past the end');
      this.#at = start;
      if (inClass && type === SOA) negativeTtlS = Math.min(ttlS, this.#soaMinimum(start + length));
      else if (inClass) {
        const record = this.#record(name, type, ttlS, length);
        if (record !== undefined) records.push(record);
      }
      this.#at = start + length;
    }
    return { records, negativeTtlS };
  }

  #record(name: string, type: number, ttlS: number, length: number): DnsRecord | undefined {
    const at = this.#at;
    switch (type) {
      case TYPE_NUMBER.A:
        if (length !== 4) throw new RangeError('an A record of another length');
        return { type: 'A', name, ttlS, address: this.#message.subarray(at, at + 4).join('.') };
      case TYPE_NUMBER.AAAA:
        if (length !== 16) throw new RangeError('an AAAA record of another length');
        return { type: 'AAAA', name, ttlS, address: ipv6Text(this.#message.subarray(at, at + 16)) };
      case CNAME:
        return { type: 'CNAME', name, ttlS, target: this.#nameUntil(at + length) };
      case TYPE_NUMBER.SRV: {
        this.#at = at + 6;
        const [priority, weight, port] = [0, 2, 4].map((offset) => this.#message.readUInt16BE(at + offset)) as [number, number, number];
        return { type: 'SRV', name, ttlS, priority, weight, port, target: this.#nameUntil(at + length) };
      }
      default:
        return undefined;
    }
  }

  #soaMinimum(end: number): number {
    this.#name();
    this.#name();
    if (this.#at + 20 !== end) throw new RangeError('a SOA record of another length');
    return this.#message.readUInt32BE(this.#at + 16);
  }

  /** A name that is the rest of a record. */
  #nameUntil(end: number): string {
    const name = this.#name();
    if (this.#at !== end) throw new RangeError('a record of another length than its name');
    return name;
  }

  /** A name, and on behind it. A pointer goes back, so that there is an end. */
  #name(): string {
    const labels: string[] = [];
    let bytes = 1;
    let at = this.#at;
    let lowest = at;
    let pointers = 0;
    let end: number | undefined;
    for (;;) {
      const length = this.#message.readUInt8(at);
      if (length === 0) break;
      if (length >= 0xc0) {
        const target = this.#message.readUInt16BE(at) & 0x3fff;
        pointers += 1;
        if (target >= lowest || pointers > MAX_POINTERS) throw new RangeError('a pointer that does not go back');
        end ??= at + 2;
        at = target;
        lowest = target;
        continue;
      }
      if (length > MAX_LABEL_BYTES) throw new RangeError('a label of an unknown kind');
      bytes += length + 1;
      if (bytes > MAX_NAME_BYTES || at + 1 + length > this.#message.length) throw new RangeError('a name that is too long');
      labels.push(labelText(this.#message.toString('latin1', at + 1, at + 1 + length)));
      at += length + 1;
    }
    this.#at = end ?? at + 1;
    return labels.join('.');
  }
}

/** A label with a dot or a byte that is no letter in it would be shown, and compared, as another name. */
function labelText(label: string): string {
  if (!/^[\x21-\x2d\x2f-\x7e]*$/.test(label)) throw new RangeError('a label of other than printable characters');
  return label.toLowerCase();
}

function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':');
  // RFC 5952: the longest run of zeros, of two at least, is left out; of equal ones the first.
  const runs = [...groups.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>((best, run) => (best === undefined || run[0].length > best[0].length ? run : best), undefined);
  if (longest === undefined) return groups;
  const before = groups.slice(0, longest.index).replace(/:$/, '');
  const after = groups.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}
