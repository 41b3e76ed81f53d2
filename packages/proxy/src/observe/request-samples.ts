import type { ActiveStream } from '../engine/active-stream.ts';
import { ownText } from '../http/own-text.ts';
import { SampleCleaner } from './sample-cleaner.ts';

/** Requests are chosen anew in each of these times, which begin at the same moments in every process, ms. */
export const SAMPLE_WINDOW_MS = 5_000;
/** Chosen in one window at most, of either direction: every request of it with the same chance. */
export const SAMPLES_PER_WINDOW = 32;
/** Windows of either direction that are over and kept for whoever asks. */
const KEPT_WINDOWS = 6;
/** Of one head; a larger one is counted and not kept. */
const MAX_SAMPLE_BYTES = 8 * 1024;
/** Of all windows that are kept; the oldest go first. */
const MAX_KEPT_BYTES = 128 * 1024;
/** Of a sample's other fields, about. */
const SAMPLE_OVERHEAD_BYTES = 256;

export type SampleDirection = 'inbound' | 'outbound';

/** The head of a request as it came to the routes, and what became of it. */
export interface RequestSample {
  readonly atMs: number;
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** With query. */
  readonly path: string;
  /** name, value, name, value ... */
  readonly headers: readonly string[];
  readonly listener: string;
  /** "ip:port" that the connection was made to. */
  readonly address: string;
  /** The client's, without port. */
  readonly remote: string;
  readonly tls: boolean;
  readonly sni: string;
  readonly alpn: string;
  /** URI of the certificate that the client showed; '' : none. */
  readonly peer: string;
  /** 0: it is not over. */
  status: number;
  flags: number;
  route: string;
  cluster: string;
}

/** What one window chose. `seen`: of how many. */
export interface SampleWindow {
  readonly direction: SampleDirection;
  readonly startMs: number;
  readonly endMs: number;
  readonly seen: number;
  readonly samples: readonly RequestSample[];
}

class OpenWindow {
  readonly direction: SampleDirection;
  startMs = 0;
  endMs = 0;
  seen = 0;
  samples: RequestSample[] = [];
  /** Of each sample, about. */
  sizes: number[] = [];

  constructor(direction: SampleDirection) {
    this.direction = direction;
  }
}

/**
 * A fair choice of the requests that pass (Vitter's algorithm R), for whoever wants to know what a change of configuration would have meant for them.
 * A request that is not chosen costs a count, two comparisons and a multiplication.
 */
export class RequestSamples {
  readonly #inbound = new OpenWindow('inbound');
  readonly #outbound = new OpenWindow('outbound');
  readonly #cleaner = new SampleCleaner();
  readonly #kept: { readonly window: SampleWindow; readonly bytes: number }[] = [];
  #keptBytes = 0;

  /** Before anything is decided about it. */
  offer(stream: ActiveStream, listener: string): void {
    const window = stream.manager.direction === 'inbound' ? this.#inbound : this.#outbound;
    if (stream.startTimeMs >= window.endMs) this.#open(window, stream.startTimeMs);
    const seen = ++window.seen;
    let slot = seen - 1;
    if (slot >= SAMPLES_PER_WINDOW) {
      slot = Math.floor((scattered(stream.dice) / 0x1_0000_0000) * seen);
      if (slot >= SAMPLES_PER_WINDOW) return;
    }
    this.#take(window, slot, stream, listener);
  }

  /** Those of windows that were over by then, and ended after `sinceMs`; `most` of each, if it has more. */
  since(sinceMs: number, nowMs: number, most = SAMPLES_PER_WINDOW): readonly SampleWindow[] {
    for (const window of [this.#inbound, this.#outbound]) if (nowMs >= window.endMs) this.#open(window, nowMs);
    return this.#kept
      .filter(({ window }) => window.endMs > sinceMs)
      .map(({ window }) => (window.samples.length <= most ? window : { ...window, samples: spread(window.samples, most) }));
  }

  #take(window: OpenWindow, slot: number, stream: ActiveStream, listener: string): void {
    const { head, connection } = stream;
    const { info } = connection;
    const headers = this.#cleaner.headers(head.headers);
    const path = this.#cleaner.text(head.path);
    let bytes = SAMPLE_OVERHEAD_BYTES + path.length + head.authority.length;
    for (let at = 0; at < headers.length; at++) bytes += headers[at]!.length;
    if (bytes > MAX_SAMPLE_BYTES) return;
    const sample: RequestSample = {
      atMs: stream.startTimeMs,
      method: head.method,
      scheme: head.scheme,
      authority: ownText(head.authority),
      path,
      headers,
      listener,
      address: info.localAddress,
      remote: info.remoteHost,
      tls: info.secure,
      sni: info.requestedServerName,
      alpn: info.alpn,
      peer: info.mutual ? info.peer.uri : '',
      status: 0,
      flags: 0,
      route: '',
      cluster: '',
    };
    const at = Math.min(slot, window.samples.length);
    window.samples[at] = sample;
    window.sizes[at] = bytes;
    stream.sample = sample;
  }

  /** Keeps what the window has, and begins the next. */
  #open(window: OpenWindow, nowMs: number): void {
    if (window.seen > 0) {
      const { direction, startMs, endMs, seen, samples, sizes } = window;
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      this.#kept.push({ window: { direction, startMs, endMs, seen, samples }, bytes });
      this.#keptBytes += bytes;
      while (this.#kept.length > 2 * KEPT_WINDOWS || (this.#keptBytes > MAX_KEPT_BYTES && this.#kept.length > 0)) this.#keptBytes -= this.#kept.shift()!.bytes;
    }
    window.startMs = nowMs - (nowMs % SAMPLE_WINDOW_MS);
    window.endMs = window.startMs + SAMPLE_WINDOW_MS;
    window.seen = 0;
    window.samples = [];
    window.sizes = [];
  }
}

/** Some of them, from beginning to end. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
  return Array.from({ length: most }, (_, index) => all[Math.floor((index * all.length) / most)]!);
}

/** When the request is over. */
export function finishSample(sample: RequestSample, stream: ActiveStream): void {
  sample.status = stream.responseCode;
  sample.flags = stream.responseFlags;
  sample.route = stream.routeName;
  sample.cluster = stream.upstreamCluster;
}

/** The same number decides by its size between weighted clusters: another order of all numbers, so that none of those is preferred. */
function scattered(dice: number): number {
  return Math.imul(dice, 0x9e37_79b1) >>> 0;
}
