// What a run is made of: pinned processes, and the operating system's own accounting of them.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { grpcMessage } from './load.mjs';

const ticksPerSecond = 100;

/** Proxies run on the first core; load and backend on the second. */
export const proxyCore = '0';
export const loadCore = '1';

export function cpuSeconds(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** Ticks that the machine's host gave to others while ours wanted them, and all ticks of all cores (proc(5), /proc/stat). */
function stolenTicks() {
  const fields = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0].trim().split(/\s+/).slice(1, 9).map(Number);
  return { stolen: fields[7], all: fields.reduce((sum, ticks) => sum + ticks, 0) };
}

/** Runs it, and says what share of the machine's time was stolen meanwhile: what was measured then is the host's doing. */
export async function withSteal(run) {
  const before = stolenTicks();
  const result = await run();
  const after = stolenTicks();
  return { ...result, stealRatio: (after.stolen - before.stolen) / Math.max(1, after.all - before.all) };
}

/** Proportional set size, MB: memory that is shared counts by share. */
export function pssMb(pids) {
  let kb = 0;
  for (const pid of pids) kb += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0);
  return kb / 1024;
}

/** Starts a pinned process whose output goes to `log`; ends it by its id alone. */
export function start(core, command, args, options = {}) {
  const child = spawn('taskset', ['-c', core, command, ...args], { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  return {
    pid: child.pid,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', resolve);
        child.kill('SIGTERM');
        setTimeout(() => child.kill('SIGKILL'), 5000).unref();
      }),
  };
}

/** Processes below `pid`, itself left out. */
export function descendants(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

export async function until(what, test, timeoutMs = 20_000) {
  const endMs = performance.now() + timeoutMs;
  let last;
  while (performance.now() < endMs) {
    try {
      if (await test()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${timeoutMs / 1000} s${last ? `: ${last.message}` : ''}`);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Whether the row's first request is answered as it should be. */
export async function answers({ protocol, path }, url) {
  if (protocol !== 'grpc') return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  const session = connect(new URL(url).origin);
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
      stream.setTimeout(2000, () => reject(new Error('no answer within 2 s')));
      stream.on('error', reject);
      stream.on('response', (headers) => {
        if (headers['grpc-status'] !== undefined) reject(new Error(`grpc-status ${headers['grpc-status']}: ${headers['grpc-message']}`));
      });
      stream.on('trailers', (trailers) => resolve(trailers['grpc-status'] === '0'));
      stream.resume();
      stream.end(grpcMessage(path));
    });
  } finally {
    session.destroy();
  }
}
