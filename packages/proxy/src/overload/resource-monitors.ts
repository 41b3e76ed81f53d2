import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { BufferGrowth } from '../memory/buffer-growth.ts';
import { allocator } from '../memory/native-heap.ts';
import type { LoopLag } from './loop-lag.ts';
import type { MonitorConfig } from './overload-config.ts';
import type { ResourceMonitor } from './overload-monitor.ts';

/** Where the cgroup of this process is mounted: version 2, then 1. */
const CGROUP_FILES: readonly (readonly [current: string, limit: string])[] = [
  ['/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory.max'],
  ['/sys/fs/cgroup/memory/memory.usage_in_bytes', '/sys/fs/cgroup/memory/memory.limit_in_bytes'],
];

/**
 * Of a limit of memory, what a program's own pages count for at most. The kernel takes pages of files away where memory is short, and reads them
 * again: counted whole, a proxy at rest in a container of 80 MB would turn everybody away.
 */
const MAX_FILE_SHARE = 1 / 8;

/** Of the memory that a process may have, a share that buffers cannot take without a look at it. */
const GROWTH_SHARE = 1 / 100;

/** A look serves all proxies of a process for so long, ms: less than a hurried one of them waits. */
const FRESH_MS = 20;

/** Looks at the process and its machine. `loop` is told by whoever has the timer. `processes`: so many share what the machine has. */
export function makeMonitor(config: MonitorConfig, loop: LoopLag, memory: ProcessMemory, processes: number): ResourceMonitor {
  const { name } = config;
  switch (config.kind) {
    case 'fixed-heap':
      return { name, pressure: () => atMostOne(reservedBytes() / config.maxHeapBytes) };
    case 'cgroup-memory':
      return { name, pressure: () => cgroupPressure(config.maxBytes) };
    case 'injected':
      return { name, pressure: () => injectedPressure(config.path) };
    case 'own-memory':
      return { name, pressure: () => memory.pressure(processes) };
    case 'event-loop':
      return { name, pressure: () => loop.pressure };
  }
}

/** As /memory has its heap_size. */
function reservedBytes(): number {
  const { heapTotal, external } = process.memoryUsage();
  return heapTotal + external;
}

/** Resident share of the limit from which it matters what of it the allocator has free. */
const TRIM_SHARE = 0.8;
/** So much of the limit may be free there, or held by others than V8 (OpenSSL), without a question. */
const UNKNOWN_SHARE = 0.04;
/** To trim stops the loop for some milliseconds: so often where it may tell something, */
const TRIM_INTERVAL_MS = 100;
/** and so often where what is known says that memory is short. */
const CERTAIN_TRIM_INTERVAL_MS = 250;
/** V8 may count buffers for so long after they were collected. */
const STALE_MS = 30;

/**
 * What is in use of what the kernel counts for this process, for all proxies in it. Pages that were given back to the allocator and not to the kernel
 * are there for the next who wants memory: counted, a proxy that was short of it once would be for ever. Which they are nobody says (buffers of
 * OpenSSL, for one, are in the same heap): where it matters they are given back to the kernel, and what is left is in use. Where that cannot be done
 * half of them count.
 */
export class ProcessMemory {
  readonly #process: MemoryProcess;
  readonly #limitBytes: number;
  /** Of the buffers of the process. */
  readonly growth: BufferGrowth;
  /** -1: not known yet. */
  #besideV8Bytes = -1;
  #trimmedAtMs = Number.NEGATIVE_INFINITY;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #stepsAtRead = 0;
  #heldBytes = 0;
  #heapShare = 0;

  constructor(process: MemoryProcess = THIS_PROCESS) {
    this.#process = process;
    this.#limitBytes = process.limitBytes();
    this.growth = new BufferGrowth(this.#limitBytes * GROWTH_SHARE);
  }

  /** Of the memory that it may have, or of V8's heap, as one of so many processes. */
  pressure(processes: number): number {
    const nowMs = this.#process.nowMs();
    if (nowMs - this.#readAtMs >= FRESH_MS || this.growth.steps !== this.#stepsAtRead) {
      this.#readAtMs = nowMs;
      this.#stepsAtRead = this.growth.steps;
      this.#read(this.#limitBytes / processes, nowMs);
    }
    return atMostOne(Math.max((this.#heldBytes * processes) / this.#limitBytes, this.#heapShare));
  }

  #read(limitBytes: number, nowMs: number): void {
    let look = this.#process.look(limitBytes);
    if (this.#besideV8Bytes < 0) this.#besideV8Bytes = besideV8(look);
    // Of those that were collected just before a trim: too little seemed to be beside them.
    if (nowMs - this.#trimmedAtMs < STALE_MS) this.#besideV8Bytes = Math.max(this.#besideV8Bytes, besideV8(look));
    let unknownBytes = 0;
    if (look.residentBytes >= limitBytes * TRIM_SHARE) {
      const moreBytes = besideV8(look) - this.#besideV8Bytes;
      if (moreBytes >= limitBytes * UNKNOWN_SHARE) unknownBytes = moreBytes;
      if (this.#trim(nowMs, unknownBytes > 0 ? TRIM_INTERVAL_MS : CERTAIN_TRIM_INTERVAL_MS)) {
        look = this.#process.look(limitBytes);
        this.#besideV8Bytes = besideV8(look);
        unknownBytes = 0;
      }
    }
    this.#heldBytes = Math.min(look.residentBytes, look.v8Bytes + this.#besideV8Bytes + unknownBytes / 2);
    this.#heapShare = heapShare();
  }

  /** False: that was done just now, or cannot be done yet, or here. */
  #trim(nowMs: number, intervalMs: number): boolean {
    if (nowMs - this.#trimmedAtMs < intervalMs) return false;
    void this.#process.load();
    if (!this.#process.trim()) return false;
    this.#trimmedAtMs = nowMs;
    return true;
  }
}

/** What ProcessMemory asks of its process. */
export interface MemoryProcess {
  nowMs(): number;
  /** What it may have, as all processes of the proxy. */
  limitBytes(): number;
  look(limitBytes: number): MemoryLook;
  /** As Allocator. */
  load(): Promise<void>;
  trim(): boolean;
}

export interface MemoryLook {
  /** Pages of the program count for no more than they are to. */
  readonly residentBytes: number;
  /** V8's heap, and buffers. */
  readonly v8Bytes: number;
}

const THIS_PROCESS: MemoryProcess = {
  nowMs: () => performance.now(),
  limitBytes: ownLimitBytes,
  look: lookAtMemory,
  load: () => allocator.load(),
  trim: () => allocator.trim(),
};

function lookAtMemory(limitBytes: number): MemoryLook {
  const { rss, heapTotal, external } = process.memoryUsage();
  const fileBytes = rss * fileShare();
  return { residentBytes: rss - fileBytes + Math.min(fileBytes, limitBytes * MAX_FILE_SHARE), v8Bytes: heapTotal + external };
}

function besideV8({ residentBytes, v8Bytes }: MemoryLook): number {
  return Math.max(0, residentBytes - v8Bytes);
}

/** Of the resident pages, those that are of files: the program, half of a proxy at rest. */
function fileShare(): number {
  try {
    const [, resident, shared] = readFileSync('/proc/self/statm', 'latin1').split(' ').map(Number);
    return shared! / resident!;
  } catch {
    return 0;
  }
}

/** V8 ends the process at its limit, whatever the machine has left. */
function heapShare(): number {
  const { used_heap_size, heap_size_limit } = getHeapStatistics();
  return used_heap_size / heap_size_limit;
}

/** What this process may have. 0, or more than the machine has: no cgroup limits it. */
export function ownLimitBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

function cgroupPressure(maxBytes: number): number {
  for (const [currentPath, limitPath] of CGROUP_FILES) {
    const current = numberIn(currentPath);
    if (current === undefined) continue;
    const limit = numberIn(limitPath) ?? Number.POSITIVE_INFINITY;
    const most = maxBytes > 0 ? Math.min(maxBytes, limit) : limit;
    return atMostOne(current / most);
  }
  throw new Error('there is no memory cgroup');
}

/** undefined: no such file, or no number ("max"). */
function numberIn(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

function injectedPressure(path: string): number {
  const text = readFileSync(path, 'utf8').trim();
  const pressure = Number(text);
  if (text === '' || !(pressure >= 0 && pressure <= 1)) throw new Error(`${path} holds no number from 0 to 1`);
  return pressure;
}

function atMostOne(pressure: number): number {
  return Math.min(1, pressure);
}
