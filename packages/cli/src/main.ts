// The program behind `rig`. What a command needs is loaded when it runs: `rig --version` loads nothing.
import { createRequire, enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { startWithSmallHeap } from './small-heap.ts';
import { version } from './version.ts';

/** Those that work on files alone and end at once: what they cost is mostly what is compiled for them. */
const ON_FILES: ReadonlySet<string | undefined> = new Set(['analyze', 'simulate', 'plan']);

const args = process.argv.slice(2);
if (args[0] !== 'proxy') {
  // `rig get | head`: who read the output has enough. What the command does is done all the same; a mesh that runs goes on.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
if (args[0] === '--version' || args[0] === '-V') {
  process.stdout.write(`rig ${version}\n`);
} else {
  const start = startWithSmallHeap(process.argv, process.execArgv, process.env);
  // Does not come back. A process with a channel to its parent would lose it.
  if (start !== undefined && !process.connected) process.execve?.(process.execPath, start.args, start.environment);
  // Beside the bundle, where only who may write that may write: a sidecar starts in half the time with it. A folder that cannot be written does no harm.
  enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));
  const load = createRequire(import.meta.url);
  // The data plane starts often and beside every workload: straight to it, past the command line's library.
  if (args[0] === 'proxy') void (load('./proxy.cjs') as typeof import('./commands/proxy.ts')).proxyCommand(args.slice(1));
  else {
    const program = ON_FILES.has(args[0])
      ? import('./warm-program.ts').then(({ loadWarm }) => loadWarm(fileURLToPath(new URL('./on-files.cjs', import.meta.url)), args[0]!))
      : Promise.resolve(load('./program.cjs') as unknown);
    void program.then((loaded) => (loaded as typeof import('./program.ts')).main(process.argv));
  }
}
