import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = join(fileURLToPath(new URL('../..', import.meta.url)), 'scripts/peers');

/** Path of a real peer; undefined where it is missing, which with CI=true is a failure. */
export function peer(name: string): string | undefined {
  const found = spawnSync('bash', [script, name], { encoding: 'utf8' });
  if (found.status === 0) return found.stdout.trim();
  if (process.env['CI'] === 'true') throw new Error(`the peer ${name} is missing: ${found.stderr}`);
  console.warn(`skipped: the peer ${name} is missing: ${found.stderr.trim()}`);
  return undefined;
}
