import { CliError, ExitCode } from '../error.ts';
import { instanceDirectories, supervisorOf } from '../workload/directory.ts';
import { RESTART_SIGNAL } from '../workload/restart.ts';

/** What a supervisor gives a new proxy, and some more. */
const timeoutMs = 20_000;
const pollMs = 50;

export interface RestartOptions {
  readonly instances: readonly string[];
  readonly namespace: string;
  readonly all?: boolean;
  readonly state: string;
}

/** `rig restart`: each sidecar's proxy replaced by a new process, one after the other. */
export async function restart({ instances, namespace, all, state }: RestartOptions): Promise<void> {
  if ((all === true) === instances.length > 0)
    throw new CliError('name the instances, or --all', { next: '`rig status` lists them', exitCode: ExitCode.usage });
  const names = all === true ? instanceDirectories(state) : instances.map((instance) => `${namespace}.${instance}`);
  /** The supervisor of a node replaces the one process of all its workloads at once. */
  const told = new Map<number, number>();
  for (const name of names) {
    const before = supervisorOf(state, name);
    // What ended meanwhile, or long ago, needs no new proxy.
    if (before === undefined && all === true) continue;
    if (before === undefined)
      throw new CliError(`no \`rig run\` or \`rig sidecar\` of ${name} runs here`, {
        where: state,
        next: '`rig status` lists the instances; --namespace, --state',
      });
    const replaced = told.get(before.pid);
    if (replaced !== undefined) {
      process.stdout.write(`${name}: proxy ${replaced} -> ${before.proxyPid}\n`);
      continue;
    }
    process.kill(before.pid, RESTART_SIGNAL);
    const endMs = performance.now() + timeoutMs;
    let now = before;
    while (now.restarts === before.restarts) {
      if (performance.now() > endMs) throw new CliError(`the proxy of ${name} was not replaced within ${timeoutMs / 1000} s`, { exitCode: ExitCode.timeout });
      await new Promise((resolve) => setTimeout(resolve, pollMs));
      const next = supervisorOf(state, name);
      if (next === undefined) throw new CliError(`${name} has ended`);
      now = next;
    }
    if (now.error !== '') throw new CliError(now.error, { where: name });
    told.set(before.pid, before.proxyPid);
    process.stdout.write(`${name}: proxy ${before.proxyPid} -> ${now.proxyPid}\n`);
  }
}
