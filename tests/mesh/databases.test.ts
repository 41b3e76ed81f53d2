import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { freePorts } from '../harness/ports.ts';

const run = promisify(execFile);
const redis = peer('redis');
const postgres = peer('postgres');
const mariadb = peer('mariadb');
const isRoot = process.getuid?.() === 0;

/** Another program of a peer's packages, with its libraries. */
function inside(peerProgram: string, path: string): { readonly program: string; readonly environment: NodeJS.ProcessEnv } {
  const root = join(dirname(peerProgram), 'root');
  const libraries = ['usr/lib/x86_64-linux-gnu', 'usr/lib', 'lib/x86_64-linux-gnu'].map((each) => join(root, each)).join(':');
  return { program: join(root, path), environment: { ...process.env, LD_LIBRARY_PATH: libraries } };
}

/** PostgreSQL does not start as root; in a user namespace nobody is. */
const unprivileged = isRoot ? ['unshare', '--user', '--map-user=1000', '--map-group=1000'] : [];

interface Database {
  readonly name: string;
  readonly binary: string | undefined;
  /** Makes what it starts with in this folder. */
  prepare(binary: string, folder: string): void;
  command(binary: string, folder: string, port: number): readonly string[];
  /** What its own client prints for a statement. */
  ask(binary: string, port: number, statement: string): Promise<string>;
}

const databases: readonly Database[] = [
  {
    name: 'redis',
    binary: redis,
    prepare: () => {},
    command: (binary, folder, port) => [binary, '--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder],
    async ask(binary, port, statement) {
      const { program, environment } = inside(binary, 'usr/bin/redis-cli');
      return (await run(program, ['-h', '127.0.0.1', '-p', String(port), ...statement.split(' ')], { env: environment, maxBuffer: 1 << 26 })).stdout.trim();
    },
  },
  {
    name: 'postgres',
    binary: postgres,
    prepare(binary, folder) {
      const { program, environment } = inside(binary, 'usr/lib/postgresql/15/bin/initdb');
      const [command, ...args] = [...unprivileged, program, '-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale'];
      execFileSync(command!, args, { env: environment, stdio: 'pipe' });
    },
    command: (binary, folder, port) => [
      ...unprivileged,
      binary,
      '-D',
      join(folder, 'data'),
      '-p',
      String(port),
      '-h',
      '127.0.0.1',
      '-k',
      folder,
      '-c',
      'jit=off',
    ],
    async ask(binary, port, statement) {
      const { program, environment } = inside(binary, 'usr/lib/postgresql/15/bin/psql');
      const args = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres', '-tA', '-c', statement];
      return (await run(program, args, { env: environment, maxBuffer: 1 << 26 })).stdout.trim();
    },
  },
  {
    name: 'mariadb',
    binary: mariadb,
    prepare(binary, folder) {
      const { program, environment } = inside(binary, 'usr/bin/mariadb-install-db');
      const base = join(dirname(binary), 'root/usr');
      const args = ['--no-defaults', `--basedir=${base}`, `--datadir=${join(folder, 'data')}`, '--auth-root-authentication-method=normal', '--skip-test-db'];
      execFileSync(program, [...args, ...(isRoot ? ['--user=root'] : [])], { env: environment, stdio: 'pipe' });
    },
    command: (binary, folder, port) => [
      binary,
      '--no-defaults',
      `--basedir=${join(dirname(binary), 'root/usr')}`,
      `--datadir=${join(folder, 'data')}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 'socket')}`,
      '--skip-name-resolve',
      ...(isRoot ? ['--user=root'] : []),
    ],
    async ask(binary, port, statement) {
      const { program, environment } = inside(binary, 'usr/bin/mariadb');
      const args = ['--no-defaults', '-h', '127.0.0.1', '-P', String(port), '-u', 'root', '--skip-column-names', '-e', statement];
      return (await run(program, args, { env: environment, maxBuffer: 1 << 26 })).stdout.trim();
    },
  },
];

const large = 'x'.repeat(1_000_000);
/** Statement and what it prints. */
const statements: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  redis: [
    ['SET key value', 'OK'],
    ['GET key', 'value'],
    [`SET large ${large.slice(0, 100_000)}`, 'OK'],
    ['STRLEN large', '100000'],
    ['GET large', large.slice(0, 100_000)],
  ],
  postgres: [
    ['CREATE TABLE t AS SELECT generate_series(1, 50000) AS n', 'SELECT 50000'],
    ['SELECT sum(n) FROM t', '1250025000'],
    ['SELECT n FROM t ORDER BY n', Array.from({ length: 50_000 }, (_, index) => index + 1).join('\n')],
    [`SELECT repeat('x', 1000000)`, large],
  ],
  mariadb: [
    ['CREATE DATABASE shop; USE shop; CREATE TABLE t AS SELECT seq AS n FROM seq_1_to_50000', ''],
    ['SELECT SUM(n) FROM shop.t', '1250025000'],
    ['SELECT n FROM shop.t ORDER BY n', Array.from({ length: 50_000 }, (_, index) => index + 1).join('\n')],
    [`SELECT REPEAT('x', 1000000)`, large],
  ],
};

describe.each(databases.filter(({ binary }) => binary !== undefined))('$name behind a sidecar', ({ name, binary, prepare, command, ask }) => {
  let mesh: TestMesh;
  let folder: string;
  let client: RunningWorkload;
  let declared: number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), `${name}-`));
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    prepare(binary!, folder);
    mesh = await TestMesh.start();
    [declared] = (await freePorts(1)) as [number];
    [client] = await Promise.all([
      mesh.run({ name: 'web', client: true, args: ['--upstream', `${name}:8080=127.0.0.1:${declared}`] }),
      mesh.run({ name, protocol: 'tcp', command: (port) => command(binary!, folder, port) }),
    ]);
    await until('the first answer', async () => (await ask(binary!, declared, name === 'redis' ? 'PING' : 'SELECT 1')) !== '', 30_000, 200);
  }, 120_000);
  afterAll(async () => {
    await mesh?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test('its own client talks to it over mTLS, small and large, one after another and side by side', async () => {
    await mesh.apply(
      'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n',
    );
    for (const [statement, printed] of statements[name]!) expect(await ask(binary!, declared, statement)).toBe(printed);
    const [statement, printed] = statements[name]!.at(-1)!;
    expect(await Promise.all(Array.from({ length: 5 }, () => ask(binary!, declared, statement)))).toEqual(Array.from({ length: 5 }, () => printed));
    expect(client.process.exitCode).toBeNull();
  });
});
