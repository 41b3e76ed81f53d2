import type { HeaderList } from '../../http/message.ts';
import type { ContentCodec, ContentSink, ContentSource, ContentTransform } from '../http-filter.ts';

const NOTHING = Buffer.alloc(0);
/** More than this for a byte is a bomb and no content (Envoy: max_inflate_ratio). */
export const MAX_INFLATE_RATIO = 100;
/** So much may always come out. */
const INFLATE_ALLOWANCE_BYTES = 64 * 1024;

/** Content through one of zlib's streams, on Node's thread pool. What has come in leaves at once: an event stream must not wait for more. */
export class ZlibTransform implements ContentTransform {
  next!: ContentSink;
  /** Set once it is in its place. */
  source!: ContentSource;
  readonly #zlib: ContentCodec;
  readonly #inflates: boolean;
  readonly #onBad: (detail: string) => void;
  #trailers: HeaderList | null = null;
  #bytesIn = 0;
  #bytesOut = 0;
  #held = false;
  #over = false;

  constructor(zlib: ContentCodec, inflates: boolean, onBad: (detail: string) => void) {
    this.#zlib = zlib;
    this.#inflates = inflates;
    this.#onBad = onBad;
    zlib.on('data', (chunk: Buffer) => this.#out(chunk));
    zlib.on('drain', () => this.#release());
    zlib.on('end', () => this.#end());
    zlib.on('error', (error) => this.#bad(error.message));
  }

  body(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#over) return;
    this.#bytesIn += end - start;
    if (end > start) {
      // Its source is shared, and zlib reads it later.
      const room = this.#zlib.write(Buffer.from(buffer.subarray(start, end)));
      if (!fin && !this.#inflates) this.#zlib.flush();
      if (!room && !fin) this.#hold();
    }
    if (fin) this.#zlib.end();
  }

  trailers(trailers: HeaderList): void {
    if (this.#over) return;
    this.#trailers = trailers;
    this.#zlib.end();
  }

  cancel(): void {
    this.#over = true;
    this.#zlib.destroy();
  }

  #out(chunk: Buffer): void {
    if (this.#over) return;
    this.#bytesOut += chunk.length;
    if (this.#inflates && this.#bytesOut > INFLATE_ALLOWANCE_BYTES + this.#bytesIn * MAX_INFLATE_RATIO) {
      this.#bad(`more than ${MAX_INFLATE_RATIO} bytes for one`);
      return;
    }
    this.next.body(chunk, 0, chunk.length, false);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#trailers === null) this.next.body(NOTHING, 0, 0, true);
    else this.next.trailers(this.#trailers);
  }

  #bad(detail: string): void {
    if (this.#over) return;
    this.cancel();
    this.#onBad(detail);
  }

  #hold(): void {
    if (this.#held) return;
    this.#held = true;
    this.source.hold();
  }

  #release(): void {
    if (!this.#held || this.#over) return;
    this.#held = false;
    this.source.release();
  }
}
