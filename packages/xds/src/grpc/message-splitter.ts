/** Bytes before each message: a flag (compressed or not) and the length (gRPC over HTTP/2, "Length-Prefixed-Message"). */
const PREFIX_BYTES = 5;
/** Of DATA frames of one byte each costs a hundred more while its message is not whole: pieces below this are put together. */
const SMALL_BYTES = 4_096;

export type MessageSplitterErrorCode = 'too-large' | 'compressed';

export class MessageSplitterError extends Error {
  readonly code: MessageSplitterErrorCode;

  constructor(code: MessageSplitterErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Cuts a gRPC byte stream into its messages. */
export class MessageSplitter {
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #buffered = 0;
  /** Length of the message under way; -1: its prefix is not whole yet. */
  #length = -1;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** That are held until their message is whole. */
  get pieces(): number {
    return this.#chunks.length;
  }

  /** Takes what arrived; gives each whole message to `onMessage`, which may keep it. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.#buffered += chunk.length;
    this.#chunks.push(this.#withSmaller(chunk));
    for (;;) {
      if (this.#length < 0) {
        if (this.#buffered < PREFIX_BYTES) return;
        const prefix = this.#take(PREFIX_BYTES);
        if (prefix[0] !== 0) throw new MessageSplitterError('compressed', 'a compressed message came, which was not offered');
        this.#length = prefix.readUInt32BE(1);
        if (this.#length > this.#maxBytes) throw new MessageSplitterError('too-large', `a message of ${this.#length} bytes; ${this.#maxBytes} are taken`);
      }
      if (this.#buffered < this.#length) return;
      const message = this.#take(this.#length);
      this.#length = -1;
      onMessage(message);
    }
  }

  /** With those before it that are no longer than it is: each byte is copied a few times, and few small pieces are left. */
  #withSmaller(chunk: Buffer): Buffer {
    let whole = chunk;
    for (;;) {
      const last = this.#chunks.at(-1);
      if (last === undefined || last.length >= SMALL_BYTES || last.length > whole.length) return whole;
      this.#chunks.pop();
      whole = Buffer.concat([last, whole]);
    }
  }

  #take(length: number): Buffer {
    this.#buffered -= length;
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= length) {
      if (first.length === length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    const whole = Buffer.allocUnsafe(length);
    let filled = 0;
    let used = 0;
    while (filled < length) {
      const chunk = this.#chunks[used]!;
      const count = Math.min(chunk.length, length - filled);
      chunk.copy(whole, filled, 0, count);
      filled += count;
      if (count < chunk.length) {
        this.#chunks[used] = chunk.subarray(count);
        break;
      }
      used += 1;
    }
    this.#chunks.splice(0, used);
    return whole;
  }
}

/** A message with its prefix, to write. */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
}
