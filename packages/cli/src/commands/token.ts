import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { parseName } from '../workload/options.ts';

/** Prints a join token, once: the control plane keeps its hash alone. */
export async function createToken(options: { name: string; namespace: string; ttl: string; output: OutputFormat; state: string }): Promise<void> {
  const ttlSeconds = Number(options.ttl);
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1) throw new CliError(`--ttl ${options.ttl}: not a number of seconds`, { exitCode: ExitCode.usage });
  const created = await apiOf(options.state).post<{ token: string; expiresAtMs: number }>('/tokens', {
    namespace: parseName(options.namespace, '--namespace'),
    serviceAccount: parseName(options.name, '--name'),
    ttlMs: ttlSeconds * 1000,
  });
  if (options.output === 'json') printJson(created);
  else console.log(created.token);
}
