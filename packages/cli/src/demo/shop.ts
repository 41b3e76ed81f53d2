import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../error.ts';

/** Port at which every service of the shop is called. */
export const servicePort = 8080;

/** One process of the shop, before it has ports. */
export interface ShopInstance {
  readonly name: string;
  readonly version: string;
  /** "payment-service-2": what `rig demo kill` takes. */
  readonly instance: string;
  /** Service that it calls; '' for the last one. */
  readonly next: string;
  readonly command: readonly string[];
  readonly language: 'Node' | 'Python' | 'Go';
}

/** The shop's programs, in the checkout that this program is of. */
export function examplesDirectory(): string {
  const given = process.env['OUTRIGGER_EXAMPLES'];
  if (given !== undefined) return given;
  const own = fileURLToPath(import.meta.url);
  for (let folder = dirname(own); folder !== dirname(folder); folder = dirname(folder)) {
    const examples = join(folder, 'examples/shop');
    if (existsSync(join(examples, 'service.mjs'))) return examples;
  }
  throw new CliError('the programs of the shop are not there', {
    where: `examples/shop, above ${dirname(own)}`,
    next: 'run the demo from a checkout, or set OUTRIGGER_EXAMPLES to its examples/shop',
  });
}

/** web -> order-service (v1, v2) -> payment-service (3) -> fraud-service -> ledger-service. */
export function shop(examples: string, languages: { python: string; goService: string }): ShopInstance[] {
  const node = [process.execPath, join(examples, 'service.mjs')];
  const python = languages.python === '' ? undefined : [languages.python, join(examples, 'service.py')];
  const go = languages.goService === '' ? undefined : [languages.goService];
  const of = (
    name: string,
    version: string,
    instance: string,
    next: string,
    command: readonly string[] | undefined,
    language: 'Node' | 'Python' | 'Go',
  ): ShopInstance => ({
    name,
    version,
    instance,
    next,
    command: command ?? node,
    language: command === undefined ? 'Node' : language,
  });
  return [
    of('web', 'v1', 'web', 'order-service', node, 'Node'),
    of('order-service', 'v1', 'order-service-v1', 'payment-service', node, 'Node'),
    of('order-service', 'v2', 'order-service-v2', 'payment-service', node, 'Node'),
    of('payment-service', 'v1', 'payment-service-1', 'fraud-service', node, 'Node'),
    of('payment-service', 'v1', 'payment-service-2', 'fraud-service', node, 'Node'),
    of('payment-service', 'v1', 'payment-service-3', 'fraud-service', node, 'Node'),
    of('fraud-service', 'v1', 'fraud-service', 'ledger-service', python, 'Python'),
    of('ledger-service', 'v1', 'ledger-service', '', go, 'Go'),
  ];
}

/** The first of these that runs here, '' if none. */
export function findProgram(names: readonly string[], args: readonly string[]): string {
  for (const name of names) if (spawnSync(name, [...args], { stdio: 'ignore' }).status === 0) return name;
  return '';
}

/** Builds the Go service once for its source, into the user's cache; '' where there is no Go toolchain or it fails. */
export function goService(examples: string, say: (text: string) => void): string {
  const source = join(examples, 'service-go');
  const key = createHash('sha256')
    .update(readFileSync(join(source, 'main.go')))
    .digest('hex')
    .slice(0, 12);
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'outrigger', 'shop');
  const program = join(cache, `service-go-${key}`);
  if (existsSync(program)) return program;
  if (findProgram(['go'], ['version']) === '') {
    say('no Go toolchain here: ledger-service runs in Node');
    return '';
  }
  say('building ledger-service in Go (once) ...');
  mkdirSync(cache, { recursive: true });
  const built = spawnSync('go', ['build', '-o', `${program}.new`, '.'], {
    cwd: source,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' },
  });
  if (built.status !== 0) {
    say(`ledger-service runs in Node: go build failed: ${(built.stderr || String(built.error)).trim().split('\n')[0]}`);
    return '';
  }
  renameSync(`${program}.new`, program);
  return program;
}
