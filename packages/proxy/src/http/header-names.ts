import { ownText } from './own-text.ts';

/** What a header's name means to a codec. */
export const HeaderKind = {
  ORDINARY: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  /** Keep-Alive, Proxy-Connection, HTTP2-Settings: taken off. */
  HOP_BY_HOP: 5,
  TE: 6,
  UPGRADE: 7,
  EXPECT: 8,
  METHOD: 9,
  SCHEME: 10,
  PATH: 11,
  AUTHORITY: 12,
  STATUS: 13,
  PROTOCOL: 14,
  /** No token of RFC 9110 section 5.6.2, a pseudo-header that nobody defined, or what some read as a length. */
  INVALID: 15,
  /** HTTP/2 may send it in pieces (RFC 9113 section 8.2.3). */
  COOKIE: 16,
} as const;

const NO_BYTES = new Uint8Array(0);

/** A header name as met on the wire, looked at once. */
export class HeaderName {
  /** As it was on the wire. */
  readonly wire: string;
  readonly lower: string;
  readonly kind: number;
  /** `wire` again, to compare what was received without making a string of it; empty where the name is not remembered. */
  readonly bytes: Uint8Array;

  constructor(wire: string, lower: string, kind: number, bytes: Uint8Array = NO_BYTES) {
    this.wire = wire;
    this.lower = lower;
    this.kind = kind;
    this.bytes = bytes;
  }
}

const KINDS: readonly (readonly [string, number])[] = [
  ['host', HeaderKind.HOST],
  ['content-length', HeaderKind.CONTENT_LENGTH],
  // A server that takes "_" for "-" would see another end of the message.
  ['content_length', HeaderKind.INVALID],
  ['transfer_encoding', HeaderKind.INVALID],
  ['transfer-encoding', HeaderKind.TRANSFER_ENCODING],
  ['connection', HeaderKind.CONNECTION],
  ['keep-alive', HeaderKind.HOP_BY_HOP],
  ['proxy-connection', HeaderKind.HOP_BY_HOP],
  ['http2-settings', HeaderKind.HOP_BY_HOP],
  ['te', HeaderKind.TE],
  ['upgrade', HeaderKind.UPGRADE],
  ['expect', HeaderKind.EXPECT],
  ['cookie', HeaderKind.COOKIE],
  [':method', HeaderKind.METHOD],
  [':scheme', HeaderKind.SCHEME],
  [':path', HeaderKind.PATH],
  [':authority', HeaderKind.AUTHORITY],
  [':status', HeaderKind.STATUS],
  [':protocol', HeaderKind.PROTOCOL],
];

/** Names kept in each of the two generations. */
export const MAX_CACHED_NAMES = 1024;
/** A longer name is looked at each time. */
export const MAX_CACHED_NAME_LENGTH = 64;

/** Names found by their bytes: a power of two, larger than what meshes use so that few share a place. */
const BYTE_SLOTS = 2048;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Checks, lower-cases and classifies names, remembering them in two generations: a peer that invents names can make
 * lookups slow, not memory grow. One per engine, shared by all its connections.
 */
export class HeaderNames {
  private readonly kinds: ReadonlyMap<string, number>;
  private current: Map<string, HeaderName>;
  private previous: Map<string, HeaderName>;
  /** By a hash of a few of their bytes; a later name takes the place of an earlier one. */
  private readonly slots: (HeaderName | undefined)[];

  constructor() {
    this.kinds = new Map(KINDS);
    this.current = new Map();
    this.previous = new Map();
    this.slots = new Array<HeaderName | undefined>(BYTE_SLOTS).fill(undefined);
  }

  /** The name in these bytes: no string is made of one that is known (bench/codec/http1.mjs). */
  find(buffer: Buffer, start: number, end: number): HeaderName {
    const length = end - start;
    let hash = length * 31 + buffer[start]!;
    hash = hash * 31 + buffer[end - 1]!;
    hash = hash * 31 + buffer[start + (length >> 1)]!;
    hash = hash * 31 + buffer[start + (length >> 2)]!;
    const slot = (Math.imul(hash, 0x9e3779b1) >>> 16) & (BYTE_SLOTS - 1);
    const name = this.slots[slot];
    if (name === undefined || name.bytes.length !== length) return this.findNew(buffer, start, end, slot);
    const bytes = name.bytes;
    for (let i = 0; i < length; i++) if (bytes[i] !== buffer[start + i]) return this.findNew(buffer, start, end, slot);
    return name;
  }

  lookup(name: string): HeaderName {
    const known = this.current.get(name);
    return known === undefined ? this.learn(name) : known;
  }

  private findNew(buffer: Buffer, start: number, end: number, slot: number): HeaderName {
    const name = this.lookup(buffer.latin1Slice(start, end));
    if (name.bytes.length > 0) this.slots[slot] = name;
    return name;
  }

  private learn(name: string): HeaderName {
    let entry = this.previous.get(name);
    if (entry === undefined) {
      const lower = name.toLowerCase();
      const kind = this.classify(lower);
      if (name.length > MAX_CACHED_NAME_LENGTH) return new HeaderName(name, lower, kind);
      const kept = ownText(name);
      entry = new HeaderName(kept, name === lower ? kept : lower, kind, Uint8Array.from(Buffer.from(kept, 'latin1')));
    }
    if (this.current.size >= MAX_CACHED_NAMES) {
      this.previous = this.current;
      this.current = new Map();
    }
    this.current.set(entry.wire, entry);
    return entry;
  }

  private classify(lower: string): number {
    const kind = this.kinds.get(lower);
    if (kind !== undefined) return kind;
    return TOKEN.test(lower) ? HeaderKind.ORDINARY : HeaderKind.INVALID;
  }
}
