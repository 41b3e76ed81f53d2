/** What waits until it is its workload's turn again. */
export interface Waiting {
  /** True: it goes on with the next reads of the loop, and takes its time then. */
  proceed(): boolean;
  /** Its workload is removed. */
  abandon(): void;
}

export interface LoopClock {
  /** Monotonic, ms with fractions. */
  nowMs(): number;
  /** Calls back once, after all sockets that are readable now have been read: `setImmediate`. */
  afterReads(run: () => void): void;
}

/** What those workloads that want more than there is may take of the loop between two looks at the sockets, all together, ms. */
export const DEFAULT_SLICE_MS = 0.5;
/** Larger where nobody else has been read of lately: what is written at once costs less, and who comes first then waits no longer than a few ms. */
const ALONE_SLICES = 4;
const LATELY_MS = 1_000;
/** One workload's part of it, however many there are: below this the looking costs more than what is done. */
const MIN_QUANTUM_MS = 0.1;
/** What Node does before it calls back (read, decrypt, accept) is charged with the call, up to this. Longer pauses are somebody else's. */
const MAX_LEAD_MS = 0.05;
/** Of one read in the average of all. */
const READ_WEIGHT = 0.05;
/** A single long call is held against a workload no further than this: it may be the system that gave the time to another process. */
const MAX_DEBT_MS = 1;

/**
 * Shares one event loop out between workloads: deficit round robin, a round of which is a turn of the loop. Who has used up what a round gives
 * lets his sockets wait (FairLane), and goes on after the others have written; where nobody else wants the loop, rounds follow each other at once, so
 * that no time is lost. What is due in a round is written first by those who do not wait.
 */
export class FairLoop {
  readonly clock: LoopClock;
  readonly sliceMs: number;
  readonly #onFault: (error: unknown) => void;
  readonly #shares = new Set<FairShare>();
  readonly #run = () => this.#endRound();
  #scheduled = false;
  #lastReader: FairShare | undefined;
  /** When another workload than the one before it was read of. */
  #contendedMs = Number.NEGATIVE_INFINITY;
  /** Some workload's connection has been read of. */
  trafficSeen = false;
  /** When the last call of this round ended; 0: none has been. */
  lastLeftMs = 0;

  /** `sliceMs` Infinity: nobody ever waits. */
  constructor(clock: LoopClock, sliceMs: number = DEFAULT_SLICE_MS, onFault: (error: unknown) => void = rethrow) {
    this.clock = clock;
    this.sliceMs = sliceMs;
    this.#onFault = onFault;
  }

  share(): FairShare {
    return new FairShare(this);
  }

  /** It has work in this round, or debts. */
  activate(share: FairShare): void {
    this.#shares.add(share);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.clock.afterReads(this.#run);
  }

  read(share: FairShare, nowMs: number): void {
    if (share === this.#lastReader) return;
    this.trafficSeen = true;
    if (this.#lastReader !== undefined) this.#contendedMs = nowMs;
    this.#lastReader = share;
  }

  forget(share: FairShare): void {
    this.#shares.delete(share);
    if (this.#lastReader === share) this.#lastReader = undefined;
  }

  #endRound(): void {
    this.#scheduled = false;
    this.lastLeftMs = 0;
    const shares = [...this.#shares];
    const behind = shares.filter((share) => share.waiting > 0);
    for (const share of shares) if (share.waiting === 0) this.#guard(() => share.flush());
    const alone = this.clock.nowMs() - this.#contendedMs > LATELY_MS;
    const quantumMs = Math.max(MIN_QUANTUM_MS, ((alone ? ALONE_SLICES : 1) * this.sliceMs) / shares.length);
    for (const share of shares) share.refill(quantumMs);
    for (const share of behind) this.#serve(share);
    for (const share of behind) this.#guard(() => share.flush());
    for (const share of shares) {
      if (share.settled(quantumMs)) this.#shares.delete(share);
      else this.activate(share);
    }
    // The loop sleeps now, at nobody's cost.
    this.lastLeftMs = 0;
  }

  #serve(share: FairShare): void {
    // Who reads on is let in by what reads have taken so far: those that come in vain are read, copied and kept.
    let expectedMs = 0;
    while (share.creditMs > expectedMs) {
      const next = share.takeWaiting();
      if (next === undefined) return;
      share.enter();
      this.#guard(() => {
        if (next.proceed()) expectedMs += share.averageReadMs;
      });
      share.leave();
    }
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#onFault(error);
    }
  }
}

/** One workload's part of the loop. */
export class FairShare {
  readonly #loop: FairLoop;
  /** What it may still take in this round; below 0: what it has taken beforehand. */
  creditMs: number;
  /** Of the loop, since it began. */
  usedMs = 0;
  /** What one read takes. */
  averageReadMs = 0;
  /** Reads and connections that had to wait. */
  deferred = 0;
  #queue: Waiting[] = [];
  #head = 0;
  #enteredMs = 0;
  #flushes: (() => void)[] = [];

  constructor(loop: FairLoop) {
    this.#loop = loop;
    this.creditMs = loop.sliceMs;
  }

  /** What comes may be dealt with at once. */
  get open(): boolean {
    return this.creditMs > 0;
  }

  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** Begin and end of a call on its behalf. */
  enter(): void {
    const nowMs = this.#loop.clock.nowMs();
    const { lastLeftMs } = this.#loop;
    this.#enteredMs = lastLeftMs === 0 ? nowMs : Math.max(lastLeftMs, nowMs - MAX_LEAD_MS);
  }

  leave(): void {
    const nowMs = this.#loop.clock.nowMs();
    this.#loop.lastLeftMs = nowMs;
    this.charge(nowMs - this.#enteredMs);
  }

  /** As `leave`, of a read. */
  leaveRead(): void {
    this.leave();
    const { lastLeftMs } = this.#loop;
    this.#loop.read(this, lastLeftMs);
    const tookMs = lastLeftMs - this.#enteredMs;
    this.averageReadMs += (tookMs - this.averageReadMs) * READ_WEIGHT;
  }

  /** What it is about to take without being called: the cryptography of a handshake. */
  assume(ms: number): void {
    this.#loop.read(this, this.#loop.clock.nowMs());
    this.charge(ms);
  }

  charge(ms: number): void {
    this.usedMs += ms;
    this.creditMs = Math.max(-MAX_DEBT_MS, this.creditMs - ms);
    this.#loop.activate(this);
  }

  wait(waiting: Waiting): void {
    this.deferred++;
    this.#queue.push(waiting);
    this.#loop.activate(this);
  }

  /** Before the loop looks at its sockets again. */
  flushLater(run: () => void): void {
    this.#flushes.push(run);
    this.#loop.activate(this);
  }

  /** A function that runs on its behalf. */
  metered(run: () => void): () => void {
    return () => {
      this.enter();
      try {
        run();
      } finally {
        this.leave();
      }
    };
  }

  /** Lets everything that waits go on at once: nobody may be left behind. */
  hurry(): void {
    for (let next = this.takeWaiting(); next !== undefined; next = this.takeWaiting()) next.proceed();
  }

  close(): void {
    for (let next = this.takeWaiting(); next !== undefined; next = this.takeWaiting()) next.abandon();
    this.#flushes = [];
    this.#loop.forget(this);
  }

  /** For the loop. */
  takeWaiting(): Waiting | undefined {
    if (this.#head === this.#queue.length) return undefined;
    const next = this.#queue[this.#head++];
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }

  flush(): void {
    if (this.#flushes.length === 0) return;
    const due = this.#flushes;
    this.#flushes = [];
    this.enter();
    try {
      for (const run of due) run();
    } finally {
      this.leave();
    }
  }

  refill(quantumMs: number): void {
    this.creditMs = Math.min(quantumMs, this.creditMs + quantumMs);
  }

  settled(quantumMs: number): boolean {
    return this.creditMs >= quantumMs && this.waiting === 0 && this.#flushes.length === 0;
  }
}

function rethrow(error: unknown): never {
  throw error;
}
