import { giveBackMemory } from './give-back-memory.ts';

/** How often the process is looked at, ms. */
const LOOK_INTERVAL_MS = 5_000;
/** Share of the last interval in which the loop was busy, below which a pause of some ms harms nobody. */
const CALM_RATIO = 0.1;
/** The same for a pause of some tens of ms. */
const IDLE_RATIO = 0.02;
/** So much more than after the last time is worth a look at the heap. */
const GROWN_BYTES = 8 * 1024 * 1024;

/** What HeapTrim asks of its process. */
export interface HeapProcess {
  /** Resident set, bytes. */
  rssBytes(): number;
  /** Of the time since the last call, the share in which the loop did something. */
  busyRatio(): number;
  /** Collects garbage, and gives the room of it back: some tens of ms. */
  collect(): void;
  /** Gives what is free in the C library's heap back to the kernel: some ms. */
  trim(): Promise<void>;
}

/**
 * Gives memory back, after the start and after each burst (bench row `memory`). V8 keeps the garbage of both until it needs the room, which an idle
 * process never does: 7 MB of a sidecar's 41. Its compilers and OpenSSL take megabytes from the C library's heap for a moment, in pieces between which
 * long-lived ones come to lie, and glibc keeps all of it: 20 MB of 86 after the first thousand connections.
 */
export class HeapTrim {
  readonly #process: HeapProcess;
  /** After the last time; 0: there was none. */
  #baseBytes = 0;
  #trimming = false;

  constructor(process: HeapProcess) {
    this.#process = process;
  }

  /** To be called at each interval. */
  async look(): Promise<void> {
    const busy = this.#process.busyRatio();
    if (this.#trimming) return;
    const first = this.#baseBytes === 0;
    if (busy >= (first ? IDLE_RATIO : CALM_RATIO) || this.#process.rssBytes() < this.#baseBytes + GROWN_BYTES) return;
    if (busy < IDLE_RATIO) this.#process.collect();
    // A start has left too little there to be worth what the call needs itself.
    if (!first) {
      this.#trimming = true;
      await this.#process.trim();
      this.#trimming = false;
    }
    this.#baseBytes = this.#process.rssBytes();
  }
}

/** For the whole process, while it lives. */
export function keepHeapTrimmed(): void {
  let last = performance.eventLoopUtilization();
  const trim = new HeapTrim({
    rssBytes: () => process.memoryUsage.rss(),
    busyRatio: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    collect: giveBackMemory,
    trim: mallocTrim,
  });
  setInterval(() => void trim.look(), LOOK_INTERVAL_MS).unref();
}

/** Does nothing where the C library has no such call (musl, macOS). */
async function mallocTrim(): Promise<void> {
  try {
    // Native code of 2 MB: only a process that has more than that to give back pays for it.
    const { default: koffi } = await import('koffi');
    koffi.load(null).func('int malloc_trim(size_t pad)')(0);
  } catch {
    // There is nothing else that could be done.
  }
}
