import type { ClientStream, HeaderList, ServerStream } from '../http/message.ts';
import type { Slabs } from '../net/turn-writer.ts';
import { BodyBuffer } from './body-buffer.ts';

/** What all requests together keep. */
export interface BufferBudget {
  bufferedBytes: number;
  readonly maxBufferedBytes: number;
}

/**
 * The content of a request on its way: passed on as it comes, kept until a connection is there and, within a limit, for
 * another attempt. Holds the downstream back where nobody takes it.
 */
export class RequestContent {
  readonly #downstream: ServerStream;
  /** Of all requests of the proxy. */
  readonly #budget: BufferBudget;
  readonly #slabs: Slabs;
  /** The last byte, or the trailers, have come. */
  ended: boolean;
  trailers: HeaderList | null = null;
  #buffer: BodyBuffer | null = null;
  /** What comes is kept for another attempt. */
  #keeping = false;
  #whole = true;
  #limitBytes: number;
  #paused = false;
  /** A filter takes no more for now. */
  #held = false;
  #receivedAny = false;

  constructor(downstream: ServerStream, ended: boolean, limitBytes: number, budget: BufferBudget, slabs: Slabs) {
    this.#downstream = downstream;
    this.#budget = budget;
    this.#slabs = slabs;
    this.ended = ended;
    this.#limitBytes = limitBytes;
  }

  /** Before the first attempt. `lengthBytes` -1: not known; `tunnel`: what follows is no content that could be sent twice. */
  prepare(lengthBytes: number, limitBytes: number, tunnel: boolean): void {
    this.#limitBytes = limitBytes;
    // A length that is known to be too long is not copied at all.
    this.#keeping = !this.ended && lengthBytes <= limitBytes && !tunnel;
    this.#whole = this.ended || this.#keeping;
  }

  get bufferedBytes(): number {
    return this.#buffer?.bytes ?? 0;
  }

  /** Whether the head that goes upstream is all of the request. */
  get headIsAll(): boolean {
    return this.ended && this.#buffer === null && this.trailers === null;
  }

  /** Whether all that has come can be sent once more. */
  get replayable(): boolean {
    return this.#whole && (this.#buffer !== null || this.ended || !this.#receivedAny);
  }

  /** All of it, where it has ended and was kept; else null. */
  get whole(): readonly Buffer[] | null {
    if (!this.ended || !this.#whole) return null;
    if (this.#buffer !== null) return this.#buffer.chunks;
    return this.#receivedAny ? null : [];
  }

  /** `client`: where it goes, null while there is no connection. */
  receive(buffer: Buffer, start: number, end: number, fin: boolean, client: ClientStream | null): void {
    if (end > start) this.#receivedAny = true;
    if (client === null || this.#keeping) this.#keep(buffer, start, end, client !== null);
    if (client !== null && !client.sendBody(buffer, start, end, fin) && !fin) this.#pause();
  }

  receiveTrailers(trailers: HeaderList, client: ClientStream | null): void {
    this.trailers = trailers;
    client?.sendTrailers(trailers);
  }

  /** A connection took the head: what is kept follows. */
  sendTo(client: ClientStream): void {
    const buffer = this.#buffer;
    let room = true;
    if (buffer !== null) {
      const last = buffer.chunks.length - 1;
      const ends = this.ended && this.trailers === null;
      for (let i = 0; i <= last; i++) room = client.sendBody(buffer.chunks[i]!, 0, buffer.chunks[i]!.length, ends && i === last);
      if (!this.#keeping) this.#drop();
    }
    if (this.trailers !== null) client.sendTrailers(this.trailers);
    if (room && !this.ended) this.resume();
  }

  /** Gives back what has come, all of it, so that it can come once more. */
  rewind(): { readonly chunks: readonly Buffer[]; readonly trailers: HeaderList | null } {
    const given = { chunks: this.#buffer?.chunks ?? [], trailers: this.trailers };
    this.ended = given.chunks.length === 0 && given.trailers === null;
    this.trailers = null;
    this.#drop();
    this.#receivedAny = false;
    return given;
  }

  /** Nothing is sent again. What no connection has taken yet stays where `drop` is false. */
  stopKeeping(drop: boolean): void {
    this.#keeping = false;
    if (drop) this.#drop();
  }

  #drop(): void {
    if (this.#buffer === null) return;
    this.#budget.bufferedBytes -= this.#buffer.bytes;
    this.#buffer = null;
  }

  /** The upstream takes more. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#held) this.#downstream.resume();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (!this.#held) this.#downstream.pause();
  }

  /** A filter between the downstream and here has enough, or takes more again. */
  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (this.#paused) return;
    if (held) this.#downstream.pause();
    else this.#downstream.resume();
  }

  #keep(buffer: Buffer, start: number, end: number, sent: boolean): void {
    // An end without content is known by the flag alone.
    if (end === start) return;
    this.#buffer ??= new BodyBuffer(this.#slabs);
    this.#buffer.add(buffer, start, end);
    this.#budget.bufferedBytes += end - start;
    if (this.#buffer.bytes <= this.#limitBytes && this.#budget.bufferedBytes <= this.#budget.maxBufferedBytes) return;
    this.#whole = false;
    if (sent) this.stopKeeping(true);
    else this.#pause();
  }
}
