import { readdirSync, readFileSync } from 'node:fs';

/** The process that has these words in its command line; 0: none. Linux alone. */
export function pidOf(...words: readonly string[]): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const line = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      if (words.every((word) => line.includes(word))) return Number(entry);
    } catch {
      // It has ended meanwhile.
    }
  }
  return 0;
}

/** The proxy, ours or Envoy's, beside an instance. */
export function proxyPid(state: string, instance: string, namespace = 'default'): number {
  return pidOf(`${state}/sidecars/${namespace}.${instance}/bootstrap.json`);
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
