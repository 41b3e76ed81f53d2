import { isFieldValue } from '../http/field-bytes.ts';
import { HeaderKind, HeaderName, type HeaderNames } from '../http/header-names.ts';
import { decodeHuffman, maxHuffmanDecodedBytes } from './huffman.ts';
import { ENTRY_OVERHEAD_BYTES, STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** Bytes of an integer after its prefix: below 2^28, far beyond every limit here. */
const MAX_INTEGER_BYTES = 4;

/** Receives the fields of a block in their order. */
export interface FieldSink {
  add(name: HeaderName, value: string, never: boolean): void;
}

/**
 * HPACK decoder of one connection (RFC 7541). Names are checked once per name and values once per literal: what comes
 * from the table has been.
 */
export class HpackDecoder {
  private readonly names: HeaderNames;
  /** A ring of entries, the newest at `newest`. */
  private tableNames: HeaderName[];
  private tableValues: string[];
  private newest: number;
  private entries: number;
  private tableBytes: number;
  /** Upper bound of the size (our SETTINGS_HEADER_TABLE_SIZE), and what the peer has set. */
  private allowedBytes: number;
  private readonly tableLimit: number;
  /** The next block must begin with a size update. */
  private updateDue: boolean;
  private maxBytes: number;
  private readonly mask: number;
  private position: number;
  private failed: boolean;
  private valid: boolean;
  private scratch: Buffer;

  constructor(names: HeaderNames, tableBytes: number) {
    this.names = names;
    this.tableNames = [];
    this.tableValues = [];
    this.newest = -1;
    this.entries = 0;
    this.tableBytes = 0;
    // Until it has seen our SETTINGS the peer may use the initial size.
    this.allowedBytes = Math.max(4096, tableBytes);
    this.maxBytes = 4096;
    this.tableLimit = tableBytes;
    this.updateDue = false;
    this.mask = 2 ** Math.ceil(Math.log2(this.allowedBytes / ENTRY_OVERHEAD_BYTES + 1)) - 1;
    this.position = 0;
    this.failed = false;
    this.valid = true;
    this.scratch = Buffer.alloc(0);
  }

  /** The peer has acknowledged our SETTINGS: a table smaller than it was is confirmed by its next block (RFC 9113 section 4.3.1). */
  acknowledged(): void {
    this.allowedBytes = this.tableLimit;
    this.updateDue = this.maxBytes > this.tableLimit;
  }

  /** Adds the fields of a whole block to `section`; false is a COMPRESSION_ERROR of the connection. */
  decode(buffer: Buffer, start: number, end: number, section: FieldSink): boolean {
    this.position = start;
    this.failed = false;
    let fields = 0;
    if (this.updateDue) {
      if (start === end || (buffer[start]! & 0xe0) !== 0x20) return false;
      this.updateDue = false;
    }
    while (this.position < end) {
      const byte = buffer[this.position]!;
      if (byte >= 0x80) {
        const index = this.integer(buffer, end, 0x7f);
        if (index <= STATIC_ENTRIES) {
          if (index === 0 || this.failed) return false;
          section.add(STATIC_NAMES[index]!, STATIC_VALUES[index]!, false);
        } else {
          const offset = index - STATIC_ENTRIES - 1;
          if (this.failed || offset >= this.entries) return false;
          const slot = (this.newest - offset) & this.mask;
          section.add(this.tableNames[slot]!, this.tableValues[slot]!, false);
        }
      } else if (byte >= 0x40) {
        if (!this.literal(buffer, end, 0x3f, section, true, false)) return false;
      } else if (byte >= 0x20) {
        const size = this.integer(buffer, end, 0x1f);
        if (this.failed || size > this.allowedBytes || fields > 0) return false;
        this.maxBytes = size;
        this.evict(0);
        continue;
      } else if (!this.literal(buffer, end, 0x0f, section, false, byte >= 0x10)) return false;
      fields++;
    }
    return true;
  }

  private literal(buffer: Buffer, end: number, prefix: number, section: FieldSink, index: boolean, never: boolean): boolean {
    const at = this.integer(buffer, end, prefix);
    let name: HeaderName;
    if (at === 0) {
      const text = this.string(buffer, end);
      if (this.failed) return false;
      name = this.names.lookup(text);
      if (name.wire !== name.lower) name = new HeaderName(name.wire, name.lower, HeaderKind.INVALID);
    } else if (at <= STATIC_ENTRIES) name = STATIC_NAMES[at]!;
    else {
      const offset = at - STATIC_ENTRIES - 1;
      if (offset >= this.entries) return false;
      name = this.tableNames[(this.newest - offset) & this.mask]!;
    }
    if (this.failed) return false;
    const value = this.string(buffer, end);
    if (this.failed) return false;
    if (!this.valid) name = new HeaderName(name.wire, name.lower, HeaderKind.INVALID);
    section.add(name, value, never);
    if (index) this.insert(name, value);
    return true;
  }

  private insert(name: HeaderName, value: string): void {
    const bytes = name.wire.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.evict(bytes);
    if (bytes > this.maxBytes) return;
    this.newest = (this.newest + 1) & this.mask;
    this.tableNames[this.newest] = name;
    this.tableValues[this.newest] = value;
    this.entries++;
    this.tableBytes += bytes;
  }

  private evict(needed: number): void {
    while (this.entries > 0 && this.tableBytes + needed > this.maxBytes) {
      const oldest = (this.newest - this.entries + 1) & this.mask;
      this.tableBytes -= this.tableNames[oldest]!.wire.length + this.tableValues[oldest]!.length + ENTRY_OVERHEAD_BYTES;
      this.tableValues[oldest] = '';
      this.entries--;
    }
  }

  private integer(buffer: Buffer, end: number, prefix: number): number {
    let value = buffer[this.position++]! & prefix;
    if (value < prefix) return value;
    for (let shift = 0; shift < MAX_INTEGER_BYTES * 7; shift += 7) {
      if (this.position >= end) break;
      const byte = buffer[this.position++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.failed = true;
    return 0;
  }

  /** Sets `valid` to whether it is a field value. */
  private string(buffer: Buffer, end: number): string {
    if (this.position >= end) {
      this.failed = true;
      return '';
    }
    const huffman = buffer[this.position]! >= 0x80;
    const length = this.integer(buffer, end, 0x7f);
    const start = this.position;
    if (this.failed || length > end - start) {
      this.failed = true;
      return '';
    }
    this.position = start + length;
    if (!huffman) {
      this.valid = isFieldValue(buffer, start, start + length);
      return buffer.latin1Slice(start, start + length);
    }
    const room = maxHuffmanDecodedBytes(length);
    if (room > this.scratch.length) this.scratch = Buffer.allocUnsafeSlow(Math.max(room, 256));
    const decoded = decodeHuffman(buffer, start, start + length, this.scratch);
    if (decoded < 0) {
      this.failed = true;
      return '';
    }
    this.valid = isFieldValue(this.scratch, 0, decoded);
    return this.scratch.latin1Slice(0, decoded);
  }
}
