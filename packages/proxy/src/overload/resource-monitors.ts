import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import { BufferGrowth } from '../memory/buffer-growth.ts';
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

/**
 * What is in use of what the kernel counts for this process, for all proxies in it. Pages that were given back to the allocator and not to the kernel
 * are there for the next who wants memory: counted, a proxy that was short of it once would be for ever.
 */
export class ProcessMemory {
  readonly #nowMs: () => number;
  readonly #limitBytes = ownLimitBytes();
  /** Of the buffers of the process. */
  readonly growth = new BufferGrowth(this.#limitBytes * GROWTH_SHARE);
  #besideHeapBytes = -1;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #stepsAtRead = 0;
  #heldBytes = 0;
  #heapShare = 0;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Of the memory that it may have, or of V8's heap, as one of so many processes. */
  pressure(processes: number): number {
    const nowMs = this.#nowMs();
    if (nowMs - this.#readAtMs >= FRESH_MS || this.growth.steps !== this.#stepsAtRead) {
      this.#readAtMs = nowMs;
      this.#stepsAtRead = this.growth.steps;
      this.#read((this.#limitBytes / processes) * MAX_FILE_SHARE);
    }
    return atMostOne(Math.max((this.#heldBytes * processes) / this.#limitBytes, this.#heapShare));
  }

  #read(maxFileBytes: number): void {
    const { rss, heapTotal, external } = process.memoryUsage();
    const fileBytes = rss * fileShare();
    const residentBytes = rss - fileBytes + Math.min(fileBytes, maxFileBytes);
    if (this.#besideHeapBytes < 0) this.#besideHeapBytes = Math.max(0, residentBytes - heapTotal - external);
    this.#heldBytes = Math.min(residentBytes, this.#besideHeapBytes + heapTotal + external);
    this.#heapShare = heapShare();
  }
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
