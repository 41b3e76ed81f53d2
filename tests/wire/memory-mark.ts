import { readFileSync, writeFileSync } from 'node:fs';

const MB = 1024 * 1024;

function kilobytes(pid: number, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

/** How far the resident memory of a process goes up from here. Linux alone. */
export class MemoryMark {
  readonly #pid: number;
  readonly #before: number;

  constructor(pid: number) {
    this.#pid = pid;
    // The high-water mark begins anew.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
    this.#before = kilobytes(pid, 'VmRSS');
  }

  /** MB at the peak since then. */
  get growthMb(): number {
    return ((kilobytes(this.#pid, 'VmHWM') - this.#before) * 1024) / MB;
  }
}
