import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type BootstrapConfig, readBootstrap } from './bootstrap/bootstrap-config.ts';
import type { ProxyOptions, Proxy as RunnableProxy } from './engine/options.ts';
import { createProxy } from './engine/proxy.ts';
import { keepHeapTrimmed } from './memory/native-heap.ts';
import { initialLogging, processLog } from './process-log.ts';
import { type Channel, inheritedSockets, isHandOver, sendSockets, TAKE_OVER, tell } from './restart/hand-over.ts';
import { ProcessEnd } from './restart/process-end.ts';
import { ofOneProcess } from './workers/kept-sockets.ts';

/** To whoever started this process, where that is a program of ours. */
const parent = process as unknown as Channel;

const logging = initialLogging();
const stderrLog = processLog(logging);

/**
 * Runs one proxy as this process: until SIGTERM or SIGINT, which drain it; a second one ends it at once. SIGHUP starts another one
 * of the program as it is on the disk now, which takes over the sockets; this one drains and ends.
 */
export async function runProxy(
  bootstrapPath: string,
  options: Omit<ProxyOptions, 'log'> = {},
  make: (config: BootstrapConfig, options: ProxyOptions) => RunnableProxy = makeOne,
): Promise<void> {
  const inherited = await inheritedSockets(parent);
  const config = await readBootstrap(readFileSync(bootstrapPath, 'utf8'), bootstrapPath);
  const proxy = make(config, { ...options, inherited, log: stderrLog, logging, onQuit: () => process.kill(process.pid, 'SIGTERM') });
  const end = new ProcessEnd(proxy, parent, () => stderrLog('info', 'another process serves in place of this one, which drains'));
  process.on('SIGHUP', () => {
    if (!end.begun) restart(proxy, end.retire);
  });
  // The channel keeps no process alive.
  process.channel?.unref();
  await proxy.start();
  keepHeapTrimmed();
  if (process.connected) tell(parent, { outrigger: 'serving' });
  if (!end.begun) stderrLog('info', `serving; admin interface at ${proxy.adminAddress ?? 'none'}`);
  await end.ended;
  process.exit(0);
}

function makeOne(config: BootstrapConfig, options: ProxyOptions): RunnableProxy {
  return createProxy(config, { ...options, inherited: ofOneProcess(options.inherited ?? new Map()) });
}

let successor: number | undefined;

/** By whoever supervises this process, else by itself: then the successor is nobody's child once this one has ended. */
function restart(proxy: RunnableProxy, retire: () => void): void {
  if (process.connected) {
    tell(parent, { outrigger: 'restart' });
    return;
  }
  if (successor !== undefined) return;
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [TAKE_OVER]: '1' },
    detached: true,
  });
  successor = child.pid ?? 0;
  stderrLog('info', `process ${successor} takes over`);
  const failed = (reason: string): void => {
    successor = undefined;
    stderrLog('error', `the process that was to take over ${reason}; this one serves on`);
  };
  child.once('error', (error) => failed(`could not be started: ${error.message}`));
  const onExit = (code: number | null, signal: string | null): void => failed(`ended with ${signal ?? code} before it served`);
  child.once('exit', onExit);
  child.on('message', (message) => {
    if (!isHandOver(message)) return;
    if (message.outrigger === 'take-sockets') sendSockets(child, proxy.sockets());
    else if (message.outrigger === 'serving') {
      child.off('exit', onExit);
      child.disconnect();
      child.unref();
      retire();
    }
  });
}
