// What a run is made of: one pinned load, and the operating system's own accounting of the proxies.
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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

/** Proportional set size, MB: memory that is shared counts by share. */
export function pssMb(pids) {
  let kb = 0;
  for (const pid of pids) kb += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0);
  return kb / 1024;
}

/** One wrk run against `url`: {requests, requestsPerSecond, p50Ms, p99Ms, errors}. `close`: a connection for each request. */
export function wrk(program, url, { connections, seconds, close = false }) {
  return new Promise((resolve, reject) => {
    execFile(
      'taskset',
      ['-c', loadCore, program, '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...(close ? ['-H', 'Connection: close'] : []), url],
      { maxBuffer: 1 << 20 },
      (error, stdout, stderr) => {
        if (error) return reject(new Error(`wrk: ${stderr || error.message}`));
        const latency = (percent) => toMs(new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)`, 'm').exec(stdout));
        const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
        const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
        const status = /Non-2xx or 3xx responses: (\d+)/.exec(stdout);
        resolve({
          requests,
          requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
          p50Ms: latency(50),
          p99Ms: latency(99),
          errors: (sockets ? sockets.slice(1).reduce((sum, text) => sum + Number(text), 0) : 0) + Number(status?.[1] ?? 0),
        });
      },
    );
  });
}

/** The same at a fixed rate, by an open loop. */
export function openLoop(url, { connections, seconds, rate }) {
  const program = fileURLToPath(new URL('load/open-loop.mjs', import.meta.url));
  return new Promise((resolve, reject) => {
    execFile('taskset', ['-c', loadCore, process.execPath, program, url, String(rate), String(seconds), String(connections)], (error, stdout, stderr) => {
      if (error) reject(new Error(`open loop: ${stderr || error.message}`));
      else resolve(JSON.parse(stdout));
    });
  });
}

function toMs(match) {
  if (!match) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2]];
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
