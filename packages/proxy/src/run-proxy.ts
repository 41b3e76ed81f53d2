import { readFileSync } from 'node:fs';
import { readBootstrap } from './bootstrap/bootstrap-config.ts';
import type { ProxyLog, ProxyOptions } from './engine/options.ts';
import { createProxy } from './engine/proxy.ts';

/** A line per event on stderr, in JSON as the access log: `rig run` puts it into proxy.log. */
const stderrLog: ProxyLog = (level, message, fields) => {
  if (level === 'debug' && process.env['OUTRIGGER_LOG'] !== 'debug') return;
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`);
};

/** Runs one proxy as this process: until SIGTERM or SIGINT, which drain it; a second one ends it at once. */
export async function runProxy(bootstrapPath: string, options: Omit<ProxyOptions, 'log'> = {}): Promise<void> {
  const proxy = createProxy(await readBootstrap(readFileSync(bootstrapPath, 'utf8'), bootstrapPath), { ...options, log: stderrLog });
  let ending = false;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      const work = ending ? proxy.close() : proxy.drain();
      ending = true;
      work.then(resolve, resolve);
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
  await proxy.start();
  if (!ending) stderrLog('info', `serving; admin interface at ${proxy.adminAddress ?? 'none'}`);
  await ended;
  process.exit(0);
}
