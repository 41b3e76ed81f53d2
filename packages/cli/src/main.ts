// The program behind `rig`. What a command needs is loaded when it runs: `rig --version` loads nothing.
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import { version } from './version.ts';

const args = process.argv.slice(2);
if (args[0] === '--version' || args[0] === '-V') {
  process.stdout.write(`rig ${version}\n`);
} else if (args[0] === 'proxy') {
  compileOnce();
  // The data plane starts often and beside every workload: straight to it, past the command line's library.
  const { proxyCommand } = await import('./commands/proxy.ts');
  await proxyCommand(args.slice(1));
} else {
  compileOnce();
  const { main } = await import('./program.ts');
  await main(process.argv);
}

/** Beside the bundle, where only who may write that may write: a sidecar starts in half the time with it. A folder that cannot be written does no harm. */
function compileOnce(): void {
  enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));
}
