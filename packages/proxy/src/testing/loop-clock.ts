import koffi from 'koffi';

const CLOCK_THREAD_CPUTIME_ID = 3;
const clockGettime = koffi.load(null).func('int clock_gettime(int clock, _Out_ int64_t *time)');
const timespec = new BigInt64Array(2);

/**
 * What this thread has worked so far, ms: the time of its event loop, in which other processes of the machine have no part. A request waits for as
 * much of it as the loop did between its coming and its answer. Node's own figure is no finer than the kernel's tick.
 */
export function loopMs(): number {
  clockGettime(CLOCK_THREAD_CPUTIME_ID, timespec);
  return Number(timespec[0]) * 1e3 + Number(timespec[1]) / 1e6;
}
