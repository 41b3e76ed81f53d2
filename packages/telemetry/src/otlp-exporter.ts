import { request } from 'node:http';
import { encodeSpans } from './otlp-json.ts';
import type { Span } from './span.ts';

export interface OtlpOptions {
  /** "127.0.0.1:4318". */
  readonly address: string;
  /** service.name, service.namespace ... */
  readonly resource: Readonly<Record<string, string>>;
  /** Default 2048: beyond it the newest are dropped and counted. */
  readonly maxQueued?: number;
  /** Spans in one request. Default 256. */
  readonly batchSize?: number;
  /** How long a span waits for company, ms. Default 1000. */
  readonly delayMs?: number;
  readonly timeoutMs?: number;
}

const DEFAULT_MAX_QUEUED = 2048;
const DEFAULT_BATCH_SIZE = 256;
const DEFAULT_DELAY_MS = 1000;
const DEFAULT_TIMEOUT_MS = 5000;
const TRACES_PATH = '/v1/traces';

/**
 * Sends spans to a collector by OTLP/HTTP in JSON: batched, one request at a time, bounded. A batch that fails is lost
 * and counted: tracing may never hold a request, nor memory.
 */
export class OtlpExporter {
  readonly #options: Required<OtlpOptions>;
  readonly #host: string;
  readonly #port: number;
  #queue: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;
  exported = 0;
  dropped = 0;

  constructor(options: OtlpOptions) {
    this.#options = { maxQueued: DEFAULT_MAX_QUEUED, batchSize: DEFAULT_BATCH_SIZE, delayMs: DEFAULT_DELAY_MS, timeoutMs: DEFAULT_TIMEOUT_MS, ...options };
    const colon = options.address.lastIndexOf(':');
    this.#host = options.address.slice(0, colon).replace(/^\[|\]$/g, '');
    this.#port = Number(options.address.slice(colon + 1));
    if (colon <= 0 || !Number.isInteger(this.#port)) throw new RangeError(`OTLP address ${JSON.stringify(options.address)} is no "host:port"`);
  }

  add(span: Span): void {
    if (this.#closed || this.#queue.length >= this.#options.maxQueued) {
      this.dropped++;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= this.#options.batchSize) void this.#send();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => void this.#send(), this.#options.delayMs);
      this.#timer.unref();
    }
  }

  /** Sends what waits, and takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#queue.length > 0) await this.#send();
    await this.#sending;
  }

  #send(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = undefined;
      if (this.#queue.length >= this.#options.batchSize) void this.#send();
      else if (this.#queue.length > 0 && this.#timer === undefined) {
        this.#timer = setTimeout(() => void this.#send(), this.#options.delayMs);
        this.#timer.unref();
      }
    });
    return this.#sending;
  }

  async #sendBatch(): Promise<void> {
    const spans = this.#queue.splice(0, this.#options.batchSize);
    if (spans.length === 0) return;
    if (await this.#post(encodeSpans(this.#options.resource, spans))) this.exported += spans.length;
    else this.dropped += spans.length;
  }

  #post(body: string): Promise<boolean> {
    return new Promise((resolve) => {
      const call = request(
        {
          host: this.#host,
          port: this.#port,
          path: TRACES_PATH,
          method: 'POST',
          timeout: this.#options.timeoutMs,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          response.resume();
          response.on('close', () => resolve((response.statusCode ?? 500) < 300));
        },
      );
      call.on('timeout', () => call.destroy());
      call.on('error', () => resolve(false));
      call.end(body);
    });
  }
}
