import type { HeaderList, RequestHead, ResetReason, ResponseEvents, ResponseHead, ServerConnectionEvents, ServerStream, StreamEvents } from '../message.ts';

/** Events of one message as lines; content that comes in several pieces is one line, however it was cut. */
export class MessageLog implements ResponseEvents {
  readonly lines: string[] = [];
  /** Bytes of content so far. */
  bytes = 0;
  ended = false;
  wasReset = false;
  drains = 0;
  responses: ResponseHead[] = [];
  informational: ResponseHead[] = [];
  /** Called with each event's first word, after it is in `lines`. */
  on: (event: string) => void = () => {};
  #openBody = false;

  onInformational(head: ResponseHead): void {
    this.informational.push(head);
    this.#add(`informational ${headText(head)}`, 'informational');
  }

  onResponse(head: ResponseHead, fin: boolean): void {
    this.responses.push(head);
    this.#add(`response ${headText(head)}`, '');
    if (fin) this.#end();
    this.on('response');
  }

  onBody(buffer: Buffer, start: number, end: number, fin: boolean): void {
    this.bytes += end - start;
    const text = buffer.latin1Slice(start, end);
    if (this.#openBody) this.lines[this.lines.length - 1] += text;
    else if (text !== '') this.lines.push(`body ${text}`);
    this.#openBody ||= text !== '';
    if (fin) this.#end();
    this.on('body');
  }

  onTrailers(trailers: HeaderList): void {
    this.#add(`trailers ${JSON.stringify(trailers)}`, '');
    this.#end();
    this.on('trailers');
  }

  onReset(reason: ResetReason, detail: string): void {
    this.wasReset = true;
    this.#add(`reset ${reason}: ${detail}`, 'reset');
  }

  onDrain(): void {
    this.drains++;
    this.on('drain');
  }

  #end(): void {
    this.#add('end', 'end');
    this.ended = true;
  }

  #add(line: string, event: string): void {
    this.lines.push(line);
    this.#openBody = false;
    if (event !== '') this.on(event);
  }
}

/** A head in one line, without what has its usual value. */
export function headText(head: RequestHead | ResponseHead): string {
  return JSON.stringify(head, (_key, value: unknown) => (value === '' || value === null || value === false ? undefined : value));
}

export class Exchange {
  readonly stream: ServerStream;
  readonly head: RequestHead;
  readonly fin: boolean;
  readonly log: MessageLog;

  constructor(stream: ServerStream, head: RequestHead, fin: boolean, log: MessageLog) {
    this.stream = stream;
    this.head = head;
    this.fin = fin;
    this.log = log;
  }
}

/** What a server's codec tells its engine. `handle` may answer from within, as the engine does. */
export class ServerLog implements ServerConnectionEvents {
  readonly exchanges: Exchange[] = [];
  /** Detail of the close; undefined while open. */
  closed: string | undefined = undefined;
  readonly #handle: (exchange: Exchange) => void;

  constructor(handle: (exchange: Exchange) => void = () => {}) {
    this.#handle = handle;
  }

  onRequest(stream: ServerStream, head: RequestHead, fin: boolean): void {
    const log = new MessageLog();
    stream.events = log satisfies StreamEvents;
    const exchange = new Exchange(stream, head, fin, log);
    this.exchanges.push(exchange);
    this.#handle(exchange);
  }

  onClose(detail: string): void {
    if (this.closed !== undefined) throw new Error('onClose twice');
    this.closed = detail;
  }

  get last(): Exchange {
    return this.exchanges.at(-1)!;
  }

  /** All that has been heard, to compare one run with another. */
  get lines(): string[] {
    const lines = this.exchanges.flatMap(({ head, fin, log }) => [`request ${headText(head)}${fin ? ' fin' : ''}`, ...log.lines]);
    return this.closed === undefined ? lines : [...lines, `closed ${this.closed}`];
  }
}
