import { type HeaderName, HeaderNames } from '../../http/header-names.ts';
import { errorCodeName } from '../error-code.ts';
import { CLIENT_PREFACE, Flag, FrameType } from '../frame.ts';
import { frameTypeName } from '../frame-rules.ts';
import { HpackDecoder } from '../hpack-decoder.ts';

export const PREFACE = Buffer.from(CLIENT_PREFACE, 'latin1');

/** A frame as bytes; nothing is checked. */
export function frame(type: number, flags: number, id: number, payload: Buffer | string | readonly number[] = []): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload);
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, body]);
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => void bytes.writeUInt32BE(value >>> 0, i * 4));
  return bytes;
}

/** Literals without indexing, raw strings. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export function settings(values: Readonly<Record<number, number>> = {}): Buffer {
  const entries = Object.entries(values).map(([id, value]) => Buffer.concat([Buffer.from([+id >> 8, +id & 255]), uint32(value)]));
  return frame(FrameType.SETTINGS, 0, 0, Buffer.concat(entries));
}

export const settingsAck = frame(FrameType.SETTINGS, Flag.ACK, 0);

export function headers(id: number, fields: readonly (readonly [string, string])[], fin: boolean): Buffer {
  return frame(FrameType.HEADERS, Flag.END_HEADERS | (fin ? Flag.END_STREAM : 0), id, block(fields));
}

export function data(id: number, content: string, fin: boolean): Buffer {
  return frame(FrameType.DATA, fin ? Flag.END_STREAM : 0, id, content);
}

export const GET: readonly (readonly [string, string])[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'a'],
];
export const POST: readonly (readonly [string, string])[] = [[':method', 'POST'], ...GET.slice(1)];
export const OK: readonly (readonly [string, string])[] = [[':status', '200']];

/** Reads what a connection writes, a line for each frame. */
export class FrameLines {
  readonly #decoder = new HpackDecoder(new HeaderNames(), 4096);
  #rest = Buffer.alloc(0);
  #skip: number;

  /** `preface`: a client's bytes. */
  constructor(preface = false) {
    this.#skip = preface ? PREFACE.length : 0;
  }

  read(latin1: string): string[] {
    this.#rest = Buffer.concat([this.#rest, Buffer.from(latin1, 'latin1')]);
    if (this.#skip > 0 && this.#rest.length >= this.#skip) {
      this.#rest = this.#rest.subarray(this.#skip);
      this.#skip = 0;
    }
    const lines: string[] = [];
    while (this.#skip === 0 && this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) break;
      lines.push(this.#line(this.#rest[3]!, this.#rest[4]!, this.#rest.readUInt32BE(5), this.#rest.subarray(9, 9 + length)));
      this.#rest = this.#rest.subarray(9 + length);
    }
    return lines;
  }

  #line(type: number, flags: number, id: number, payload: Buffer): string {
    const fin = (flags & Flag.END_STREAM) !== 0 ? ' fin' : '';
    switch (type) {
      case FrameType.DATA:
        return `DATA ${id} ${payload.length > 40 ? `(${payload.length})` : payload.latin1Slice(0, payload.length)}${fin}`;
      case FrameType.HEADERS: {
        if ((flags & Flag.END_HEADERS) === 0) return `HEADERS ${id} (begin)${fin}`;
        return `HEADERS ${id} ${this.#fields(payload)}${fin}`;
      }
      case FrameType.RST_STREAM:
        return `RST_STREAM ${id} ${errorCodeName(payload.readUInt32BE(0))}`;
      case FrameType.GOAWAY:
        return `GOAWAY ${payload.readUInt32BE(0)} ${errorCodeName(payload.readUInt32BE(4))} ${payload.latin1Slice(8, payload.length)}`;
      case FrameType.WINDOW_UPDATE:
        return `WINDOW_UPDATE ${id} ${payload.readUInt32BE(0)}`;
      case FrameType.SETTINGS:
        return (flags & Flag.ACK) !== 0 ? 'SETTINGS ack' : `SETTINGS ${payload.toString('hex')}`;
      case FrameType.PING:
        return `PING ${payload.latin1Slice(0, payload.length)}${(flags & Flag.ACK) !== 0 ? ' ack' : ''}`;
      default:
        return `${frameTypeName(type)} ${id} (${payload.length})`;
    }
  }

  #fields(bytes: Buffer): string {
    const fields: string[] = [];
    const sink = { add: (name: HeaderName, value: string) => void fields.push(`${name.wire}=${value}`) };
    if (!this.#decoder.decode(bytes, 0, bytes.length, sink)) throw new Error('a header block that cannot be decoded');
    return fields.join('&');
  }
}

export const rst = (id: number, code = 8) => frame(FrameType.RST_STREAM, 0, id, uint32(code));
export const windowUpdate = (id: number, increment: number) => frame(FrameType.WINDOW_UPDATE, 0, id, uint32(increment));
export const ping = (text: string, ack = false) => frame(FrameType.PING, ack ? Flag.ACK : 0, 0, text);
