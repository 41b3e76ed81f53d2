/** How often the process is looked at, ms. */
const LOOK_INTERVAL_MS = 5_000;
/** Share of the last interval in which the loop was busy, below which a pause of some ms harms nobody. */
const CALM_RATIO = 0.1;
/** So much more than after the last time is worth a look at the heap. */
const GROWN_BYTES = 8 * 1024 * 1024;

/** What HeapTrim asks of its process. */
export interface HeapProcess {
  /** Resident set, bytes. */
  rssBytes(): number;
  /** Of the time since the last call, the share in which the loop did something. */
  busyRatio(): number;
  /** Gives what is free in the C library's heap back to the kernel. */
  trim(): Promise<void>;
}

/**
 * Gives memory back after a burst. V8's compilers and OpenSSL take megabytes from the C library's heap for a moment, in pieces between which
 * long-lived ones come to lie: glibc keeps all of it for ever (20 MB of a sidecar's 86 after its first thousand connections, bench row `memory`).
 * V8's own garbage is let be: collecting it as a last resort gives some MB more, and throws away compiled code, after which a request cost up to twice as
 * much for seconds (row `pair-mtls-1k`).
 */
export class HeapTrim {
  readonly #process: HeapProcess;
  #baseBytes = 0;
  #trimming = false;

  constructor(process: HeapProcess) {
    this.#process = process;
  }

  /** To be called at each interval. */
  async look(): Promise<void> {
    const busy = this.#process.busyRatio();
    if (this.#trimming) return;
    const rssBytes = this.#process.rssBytes();
    // What it has at rest before any work: less is never there again.
    if (this.#baseBytes === 0) this.#baseBytes = rssBytes;
    if (busy >= CALM_RATIO || rssBytes < this.#baseBytes + GROWN_BYTES) return;
    this.#trimming = true;
    await this.#process.trim();
    this.#trimming = false;
    this.#baseBytes = this.#process.rssBytes();
  }
}

/**
 * For the whole process, while it lives. Where the C library has no such call (musl, macOS) it ends after the first try. `collect`: of a process that a
 * pause of a tenth of a second harms nobody in, where V8's garbage is collected first.
 */
export function keepHeapTrimmed(collect: () => void = () => {}): void {
  let last = performance.eventLoopUtilization();
  const trim = new HeapTrim({
    rssBytes: () => process.memoryUsage.rss(),
    busyRatio: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    trim: async () => {
      collect();
      await allocator.load();
      if (!allocator.trim()) clearInterval(timer);
    },
  });
  const timer = setInterval(() => void trim.look(), LOOK_INTERVAL_MS);
  timer.unref();
}

/** The C library's allocator. */
export class Allocator {
  #trim: ((padBytes: number) => number) | null = null;
  #loading: Promise<void> | undefined;

  /** So that `trim` may be called: native code of 2 MB, which only a process that has more than that to give back is to pay for. */
  load(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Gives what is free back to the kernel; stops the loop for some milliseconds. False: not loaded, or not to be had (musl, macOS). */
  trim(): boolean {
    if (this.#trim === null) return false;
    this.#trim(0);
    return true;
  }

  async #load(): Promise<void> {
    try {
      const { default: koffi } = await import('koffi');
      this.#trim = koffi.load(null).func('int malloc_trim(size_t pad)');
    } catch {
      // There is none here.
    }
  }
}

/** Of this process. */
export const allocator = new Allocator();
