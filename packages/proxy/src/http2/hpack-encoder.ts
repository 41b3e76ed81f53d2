import { ownText } from '../http/own-text.ts';
import type { TurnWriter } from '../net/turn-writer.ts';
import { ENTRY_OVERHEAD_BYTES, STATIC_ENTRIES, STATIC_TABLE } from './static-table.ts';

/** What a name's values are worth. */
const Policy = { INDEX: 0, LITERAL: 1, NEVER: 2, DROP: 3 } as const;

/** Differ in every message: an entry would only push others out. */
const UNIQUE: readonly string[] = ['traceparent', 'x-request-id', 'x-b3-spanid', 'x-b3-traceid', 'x-b3-parentspanid', 'b3', 'tracestate'];
/** Not to be guessed through the compression by others on the same connection (RFC 7541 section 7.1). */
const SENSITIVE: readonly string[] = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key'];
/** Not HTTP/2's (RFC 9113 section 8.2.2); `host` leaves as :authority. */
const FOREIGN: readonly string[] = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'host'];

/** Insertions that a name has before its hits must pay for more. */
const FREE_INSERTIONS = 4;
/** Spellings of names remembered; those of names without an entry are forgotten beyond it. */
const MAX_NAMES = 512;
/** A longer name is looked at each time. */
const MAX_NAME_LENGTH = 64;
/** A longer line is not worth its place in a table of 4096 bytes. */
const MAX_INDEXED_BYTES = 512;
/** A shorter text is written sooner by a loop than by a call out of JavaScript (bench/codec/hpack.mjs). */
const MAX_LOOP_LENGTH = 16;
/** Of a field beside its name and value: representation, index and two lengths. */
export const FIELD_OVERHEAD_BYTES = 16;
/** Of two table size updates. */
export const SIZE_UPDATE_BYTES = 12;

/** A name of the static table: its first index, and its values with theirs. */
interface StaticName {
  readonly index: number;
  readonly values: ReadonlyMap<string, number>;
}

const NO_VALUES: ReadonlyMap<string, number> = new Map();

const STATIC_NAMES: ReadonlyMap<string, StaticName> = staticNames();

function staticNames(): ReadonlyMap<string, StaticName> {
  const values = new Map<string, Map<string, number>>();
  const names = new Map<string, StaticName>();
  STATIC_TABLE.forEach(([name, value], i) => {
    let known = values.get(name);
    if (known === undefined) {
      known = new Map();
      values.set(name, known);
      names.set(name, { index: i + 1, values: known });
    }
    if (value !== '') known.set(value, i + 1);
  });
  return names;
}

class EncoderName {
  readonly lower: string;
  readonly policy: number;
  /** 0: not in the static table. */
  readonly staticIndex: number;
  readonly staticValues: ReadonlyMap<string, number>;
  /** Insertion number by value; null before the first. */
  values: Map<string, number> | null;
  /** What was sent last, and its insertion number, or its static index as a negative: most values come again at once. */
  lastValue: string;
  lastAt: number;
  /** Insertion number of the newest entry of this name. */
  newest: number;
  insertions: number;
  hits: number;

  constructor(lower: string, policy: number) {
    const known = STATIC_NAMES.get(lower);
    this.lower = lower;
    this.policy = policy;
    this.staticIndex = known === undefined ? 0 : known.index;
    this.staticValues = known === undefined ? NO_VALUES : known.values;
    this.values = null;
    this.lastValue = '';
    this.lastAt = 0;
    this.newest = 0;
    this.insertions = 0;
    this.hits = 0;
  }
}

/**
 * HPACK encoder of one connection (RFC 7541). A line that comes again is found by one map lookup and one comparison
 * (bench/codec/hpack.mjs). Strings leave without Huffman coding: between sidecars bytes are cheap and time is not.
 */
export class HpackEncoder {
  private readonly writer: TurnWriter;
  /** By each spelling that was met. */
  private names: Map<string, EncoderName>;
  /** Entries of the dynamic table, the oldest first, as a ring. */
  private readonly entryNames: EncoderName[];
  private readonly entryValues: string[];
  private readonly mask: number;
  /** Entries ever inserted, and evicted. */
  private inserted: number;
  private evicted: number;
  private tableBytes: number;
  private maxBytes: number;
  private readonly allowedBytes: number;
  /** Smallest size since the last block, -1: no update due. */
  private smallestBytes: number;

  constructor(writer: TurnWriter, tableBytes: number) {
    this.writer = writer;
    this.names = new Map();
    this.entryNames = [];
    this.entryValues = [];
    this.mask = 2 ** Math.ceil(Math.log2(tableBytes / ENTRY_OVERHEAD_BYTES + 1)) - 1;
    this.inserted = 0;
    this.evicted = 0;
    this.tableBytes = 0;
    this.maxBytes = 4096;
    this.allowedBytes = tableBytes;
    this.smallestBytes = -1;
    if (tableBytes < 4096) this.setPeerTableBytes(4096);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableBytes(bytes: number): void {
    const next = Math.min(bytes, this.allowedBytes);
    if (next === this.maxBytes) return;
    this.maxBytes = next;
    this.smallestBytes = this.smallestBytes < 0 ? next : Math.min(this.smallestBytes, next);
    this.evict(0);
  }

  /** Before the first field of each block. */
  begin(): void {
    if (this.smallestBytes < 0) return;
    if (this.smallestBytes < this.maxBytes) this.integer(0x20, 0x1f, this.smallestBytes);
    this.integer(0x20, 0x1f, this.maxBytes);
    this.smallestBytes = -1;
  }

  /** Room for the field must have been reserved. `name` may have any case. */
  field(name: string, value: string, never: boolean): void {
    const known = this.names.get(name);
    const entry = known === undefined ? this.learn(name) : known;
    if (entry.policy === Policy.INDEX && !never) {
      let at = entry.lastAt;
      if (value !== entry.lastValue || (at >= 0 && at <= this.evicted)) {
        const known = entry.staticValues.get(value);
        if (known === undefined) {
          at = entry.values === null ? 0 : (entry.values.get(value) ?? 0);
          if (at === 0) {
            this.newLine(entry, value);
            return;
          }
          entry.lastValue = this.entryValues[at & this.mask]!;
        } else {
          at = -known;
          entry.lastValue = STATIC_TABLE[known - 1]![1];
        }
        entry.lastAt = at;
      }
      if (at < 0) this.writer.buffer[this.writer.position++] = 0x80 | -at;
      else {
        entry.hits++;
        this.integer(0x80, 0x7f, STATIC_ENTRIES + 1 + this.inserted - at);
      }
    } else if (entry.policy === Policy.DROP) return;
    else if (entry.policy === Policy.NEVER || never) this.literal(0x10, 0x0f, entry, value);
    // Once, for its name: a byte then stands for it.
    else if (entry.newest <= this.evicted && entry.staticIndex === 0) this.newLine(entry, value);
    else this.literal(0x00, 0x0f, entry, value);
  }

  private newLine(entry: EncoderName, value: string): void {
    const bytes = entry.lower.length + value.length + ENTRY_OVERHEAD_BYTES;
    if (entry.insertions >= entry.hits + FREE_INSERTIONS || bytes > MAX_INDEXED_BYTES || bytes > this.maxBytes) {
      this.literal(0x00, 0x0f, entry, value);
      return;
    }
    this.literal(0x40, 0x3f, entry, value);
    this.evict(bytes);
    const at = ++this.inserted;
    const kept = ownText(value);
    this.entryNames[at & this.mask] = entry;
    this.entryValues[at & this.mask] = kept;
    this.tableBytes += bytes;
    entry.values ??= new Map();
    entry.values.set(kept, at);
    entry.newest = at;
    entry.insertions++;
  }

  private evict(needed: number): void {
    while (this.evicted < this.inserted && this.tableBytes + needed > this.maxBytes) {
      const at = ++this.evicted;
      const slot = at & this.mask;
      const entry = this.entryNames[slot]!;
      const value = this.entryValues[slot]!;
      this.tableBytes -= entry.lower.length + value.length + ENTRY_OVERHEAD_BYTES;
      this.entryValues[slot] = '';
      if (entry.values!.get(value) === at) entry.values!.delete(value);
    }
  }

  private literal(flag: number, prefix: number, entry: EncoderName, value: string): void {
    if (entry.staticIndex > 0) this.integer(flag, prefix, entry.staticIndex);
    else if (entry.newest > this.evicted) this.integer(flag, prefix, STATIC_ENTRIES + 1 + this.inserted - entry.newest);
    else {
      this.writer.buffer[this.writer.position++] = flag;
      this.string(entry.lower);
    }
    this.string(value);
  }

  private string(text: string): void {
    const writer = this.writer;
    const length = text.length;
    this.integer(0, 0x7f, length);
    if (length > MAX_LOOP_LENGTH) {
      writer.position += writer.buffer.latin1Write(text, writer.position);
      return;
    }
    const { buffer } = writer;
    let p = writer.position;
    for (let i = 0; i < length; i++) buffer[p++] = text.charCodeAt(i);
    writer.position = p;
  }

  private integer(flag: number, prefix: number, value: number): void {
    const writer = this.writer;
    if (value < prefix) {
      writer.buffer[writer.position++] = flag | value;
      return;
    }
    writer.buffer[writer.position++] = flag | prefix;
    let rest = value - prefix;
    while (rest >= 128) {
      writer.buffer[writer.position++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    writer.buffer[writer.position++] = rest;
  }

  private learn(name: string): EncoderName {
    const lower = name.toLowerCase();
    const known = this.names.get(lower);
    if (name.length > MAX_NAME_LENGTH) return new EncoderName(lower, Policy.LITERAL);
    if (this.names.size >= MAX_NAMES) this.forget();
    if (known !== undefined) {
      this.names.set(ownText(name), known);
      return known;
    }
    const kept = ownText(lower);
    const entry = new EncoderName(kept, policyOf(kept));
    this.names.set(kept, entry);
    if (name !== lower) this.names.set(ownText(name), entry);
    return entry;
  }

  private forget(): void {
    const kept = new Map<string, EncoderName>();
    for (const entry of this.names.values()) if (entry.values !== null && entry.values.size > 0) kept.set(entry.lower, entry);
    this.names = kept;
  }
}

function policyOf(lower: string): number {
  if (SENSITIVE.includes(lower)) return Policy.NEVER;
  if (UNIQUE.includes(lower)) return Policy.LITERAL;
  return FOREIGN.includes(lower) ? Policy.DROP : Policy.INDEX;
}
