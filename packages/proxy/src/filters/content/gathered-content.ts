import type { HeaderList } from '../../http/message.ts';
import type { ContentSink, ContentTransform } from '../http-filter.ts';

/** Told when the content is whole, or is more than was wanted. */
export interface GatheringFilter {
  onGathered(content: GatheredContent): void;
  onTooLong(content: GatheredContent): void;
}

const NOTHING = Buffer.alloc(0);

/** Keeps the content of a request back until a filter has seen what it wants of it, and then lets it go on. */
export class GatheredContent implements ContentTransform {
  next!: ContentSink;
  readonly #limitBytes: number;
  readonly #filter: GatheringFilter;
  #chunks: Buffer[] = [];
  #trailers: HeaderList | null = null;
  #ended = false;
  #open = false;
  #told = false;
  bytes = 0;

  constructor(limitBytes: number, filter: GatheringFilter) {
    this.#limitBytes = limitBytes;
    this.#filter = filter;
  }

  /** All that has come so far. */
  get whole(): Buffer {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
  }

  body(buffer: Buffer, start: number, end: number, fin: boolean): void {
    if (this.#open) {
      this.next.body(buffer, start, end, fin);
      return;
    }
    if (end > start) this.#chunks.push(Buffer.from(buffer.subarray(start, end)));
    this.bytes += end - start;
    this.#ended = fin;
    if (this.bytes > this.#limitBytes) this.#tell('onTooLong');
    else if (fin) this.#tell('onGathered');
  }

  trailers(trailers: HeaderList): void {
    if (this.#open) {
      this.next.trailers(trailers);
      return;
    }
    this.#trailers = trailers;
    this.#tell('onGathered');
  }

  #tell(what: 'onGathered' | 'onTooLong'): void {
    if (this.#told) return;
    this.#told = true;
    this.#filter[what](this);
  }

  /** What was kept goes on, and what comes behind it does not wait any more. */
  release(): void {
    if (this.#open) return;
    this.#open = true;
    const chunks = this.#chunks;
    this.#chunks = [];
    for (let i = 0; i < chunks.length; i++) this.next.body(chunks[i]!, 0, chunks[i]!.length, this.#ended && i === chunks.length - 1);
    if (this.#ended && chunks.length === 0) this.next.body(NOTHING, 0, 0, true);
    if (this.#trailers !== null) this.next.trailers(this.#trailers);
  }

  cancel(): void {
    this.#open = true;
    this.#chunks = [];
  }
}
