/** How a program is to be started. */
interface Start {
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

const OPTION = '--max-semi-space-size';

/**
 * A control plane's young generation: V8's own grows to 64 MB in the first burst of work and stays there (RSS with 300 sidecars 287 -> 240 MB, for less CPU:
 * npm run bench:control-plane). The C library's heaps, of which each thread would have one: 10 MB more. Both are settled when a process starts, so
 * `rig up` starts itself once more, in its place. undefined: this is no control plane, or somebody has chosen.
 */
export function startWithSmallHeap(argv: readonly string[], execArgv: readonly string[], environment: NodeJS.ProcessEnv): Start | undefined {
  const command = argv.slice(2).find((arg, at, all) => !arg.startsWith('-') && all[at - 1] !== '--state');
  if (command !== 'up' || [...execArgv, environment['NODE_OPTIONS'] ?? ''].some((text) => text.includes(OPTION))) return undefined;
  return { args: [process.execPath, `${OPTION}=8`, ...execArgv, ...argv.slice(1)], environment: { MALLOC_ARENA_MAX: '1', ...environment } };
}
