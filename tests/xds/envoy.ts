import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface EnvoyProcess {
  readonly pid: number;
  readonly adminPort: number;
  /** All that Envoy has logged. */
  log(): string;
  stat(name: string): Promise<number>;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
}

/** Starts Envoy with a bootstrap (JSON) and waits until its admin interface answers. The address of that is put in. */
export async function startEnvoy(binary: string, folder: string, name: string, bootstrap: Record<string, unknown>): Promise<EnvoyProcess> {
  const config = join(folder, `${name}.json`);
  const adminFile = join(folder, `${name}.admin`);
  writeFileSync(config, JSON.stringify({ ...bootstrap, admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } } }));
  const child = spawn(
    binary,
    // Drained as rig runs Envoy: a connection kept open for Envoy's ten minutes would keep the policies of its old listener.
    `-c ${config} --admin-address-path ${adminFile} --use-dynamic-base-id --concurrency 1 --drain-time-s 2 --drain-strategy immediate -l info`.split(' '),
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const lines: string[] = [];
  child.stderr!.setEncoding('utf8').on('data', (text: string) => lines.push(text));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const log = () => lines.join('');
  const adminPort = await until(`${name}: no admin address`, () => adminPortOf(child, adminFile, log));
  return {
    pid: child.pid!,
    adminPort,
    log,
    async stat(statName) {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/stats?filter=${encodeURIComponent(`^${statName}$`)}`)).text();
      return Number(text.split(': ')[1] ?? Number.NaN);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function adminPortOf(child: ChildProcess, path: string, log: () => string): number | undefined {
  if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}:\n${log()}`);
  if (!existsSync(path)) return undefined;
  const port = Number(/:(\d+)$/.exec(readFileSync(path, 'utf8').trim())?.[1]);
  return port > 0 ? port : undefined;
}

/** Asks again and again until there is a value; another process has no event for us. */
export async function until<T>(what: string, probe: () => T | undefined | Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      if (error instanceof Error && /^(Envoy|our proxy) ended with/.test(error.message)) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what} within ${timeoutMs} ms${last === undefined ? '' : `: ${String(last)}`}`);
}
