import type { RequestSample, SampleWindow } from '../api/shapes.ts';

/** Older ones go. */
export const MAX_SAMPLE_AGE_MS = 24 * 3_600_000;
/** Of all that are kept, as JSON; above it the oldest go. */
export const MAX_SAMPLES_BYTES = 32 * 1024 * 1024;
/** Of one page of a sidecar; its own caps are lower. */
const MAX_WINDOWS = 1_000;
const MAX_SAMPLES = 1_000;
const MAX_TEXT = 16 * 1024;
const MAX_HEADERS = 1_000;

/** One window, as it is kept. */
export interface KeptWindow {
  readonly endMs: number;
  readonly node: string;
  /** JSON: half of what the objects would take. */
  readonly text: string;
}

/** What the sidecars chose of their requests, for as long as there is room. */
export class RequestSamples {
  readonly #maxBytes: number;
  #kept: KeptWindow[] = [];
  #bytes = 0;
  /** Before it are those that are gone already. */
  #first = 0;
  /** How many there have been. */
  #number = 0;
  /** By node: end of the last one. */
  readonly #untilMs = new Map<string, number>();

  constructor(maxBytes = MAX_SAMPLES_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(windows: readonly SampleWindow[], nowMs: number): void {
    this.restore(
      windows.map((window) => ({ endMs: window.endMs, node: window.node, text: JSON.stringify(window) })),
      nowMs,
    );
  }

  /** Those that were kept before, in their order. */
  restore(windows: readonly KeptWindow[], nowMs: number): void {
    for (const window of windows) {
      this.#kept.push(window);
      this.#bytes += window.text.length;
      this.#untilMs.set(window.node, Math.max(this.untilMs(window.node), window.endMs));
    }
    this.#number += windows.length;
    while (this.#first < this.#kept.length && (this.#bytes > this.#maxBytes || this.#kept[this.#first]!.endMs < nowMs - MAX_SAMPLE_AGE_MS)) {
      const { node, endMs, text } = this.#kept[this.#first]!;
      this.#bytes -= text.length;
      if (this.untilMs(node) === endMs) this.#untilMs.delete(node);
      this.#first += 1;
    }
    if (this.#first > this.#kept.length / 2) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Of a node: the end of the last window that came. */
  untilMs(node: string): number {
    return this.#untilMs.get(node) ?? 0;
  }

  get lastNumber(): number {
    return this.#number;
  }

  /** Those that have come since there were so many, as far as they are kept. */
  after(number: number): readonly KeptWindow[] {
    return this.#kept.slice(Math.max(this.#first, this.#kept.length - (this.#number - number)));
  }

  /** JSON of `RequestSamplesView`, of windows that ended after. */
  textSince(sinceMs: number): string {
    const windows = this.#kept.slice(this.#first).filter(({ endMs }) => endMs > sinceMs);
    return `{"windows":[${windows.map(({ text }) => text).join(',')}]}`;
  }
}

/** A sidecar's page. Throws where it is not one: whoever listens there may be anybody. */
export function readSamplesPage(page: string, node: string): SampleWindow[] {
  const { windows } = record(JSON.parse(page));
  return list(windows, MAX_WINDOWS).map((window): SampleWindow => {
    const { direction, startMs, endMs, seen, samples } = record(window);
    if (direction !== 'inbound' && direction !== 'outbound') throw notOne();
    return { node, direction, startMs: count(startMs), endMs: count(endMs), seen: count(seen), samples: list(samples, MAX_SAMPLES).map(sampleOf) };
  });
}

function sampleOf(value: unknown): RequestSample {
  const sample = record(value);
  return {
    atMs: count(sample['atMs']),
    method: text(sample['method']),
    scheme: text(sample['scheme']),
    authority: text(sample['authority']),
    path: text(sample['path']),
    headers: list(sample['headers'], MAX_HEADERS).map(text),
    listener: text(sample['listener']),
    address: text(sample['address']),
    remote: text(sample['remote']),
    tls: sample['tls'] === true,
    sni: text(sample['sni']),
    alpn: text(sample['alpn']),
    peer: text(sample['peer']),
    status: count(sample['status']),
    flags: count(sample['flags']),
    route: text(sample['route']),
    cluster: text(sample['cluster']),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw notOne();
  return value as Record<string, unknown>;
}

function list(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw notOne();
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT) throw notOne();
  return value;
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) throw notOne();
  return value;
}

function notOne(): Error {
  return new Error('the page of request samples is not one');
}
