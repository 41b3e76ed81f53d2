import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { loadWarm } from './warm-program.ts';

let folder = '';
const program = (): string => join(folder, 'program.cjs');
const cacheFiles = (): string[] => (existsSync(join(folder, 'compile-cache')) ? readdirSync(join(folder, 'compile-cache')) : []);
const cacheFile = (): string => join(folder, 'compile-cache', cacheFiles()[0]!);

/** What it says, and whether it has its code to write when it ends, which it then does. */
function run(command = 'simulate'): readonly [unknown, boolean] {
  let write: (() => void) | undefined;
  const { main } = loadWarm(program(), command, (given) => {
    write = given;
  }) as { main: () => unknown };
  const said = main();
  write?.();
  return [said, write !== undefined];
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rig-warm-'));
  writeFileSync(program(), "const path = require('node:path'); exports.main = () => path.basename(__filename) + ' 1';");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllGlobals();
});

test('a run of a command has what the first three compiled', () => {
  expect([run(), run(), run(), run()]).toEqual([...Array.from({ length: 3 }, () => ['program.cjs 1', true]), ['program.cjs 1', false]]);
  expect(run('analyze')).toEqual(['program.cjs 1', true]);
  expect(cacheFiles().map((name) => name.split('-')[0])).toEqual(['analyze', 'simulate']);
});

test('what a later run calls is kept beside what an earlier one called', () => {
  const before = 'exports.main = () => globalThis.part === 1 ? one() : two();';
  const part = (name: string): string =>
    `function ${name}() { return [${Array.from({ length: 300 }, (_, index) => `{ ${name}${index}: '${index}' }`)}].length; }`;
  writeFileSync(program(), `${part('one')}${part('two')}${before}`);
  const sizes = [1, 2].map((which) => {
    vi.stubGlobal('part', which);
    run();
    return readFileSync(cacheFile()).length;
  });
  expect(sizes[1]).toBeGreaterThan(sizes[0]! * 1.5);
});

test('another program of the same length is not taken for it', () => {
  for (let times = 0; times < 4; times++) run();
  writeFileSync(program(), readFileSync(program(), 'utf8').replace(' 1', ' 2'));
  expect([run(), run(), run(), run()].map(([said, written]) => `${said} ${written}`)).toEqual([
    'program.cjs 2 true',
    'program.cjs 2 true',
    'program.cjs 2 true',
    'program.cjs 2 false',
  ]);
});

test.each([
  ['cut', (bytes: Buffer) => bytes.subarray(0, bytes.length - 10)],
  ['empty', () => Buffer.alloc(0)],
  ['changed', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, bytes.length - 1), Buffer.from([bytes.at(-1)! ^ 1])])],
])('code that is %s is compiled again', (_, damaged) => {
  for (let times = 0; times < 4; times++) run();
  writeFileSync(cacheFile(), damaged(readFileSync(cacheFile())));
  expect([run(), run(), run(), run()].map(([, written]) => written)).toEqual([true, true, true, false]);
});

test('where it cannot be kept the program runs all the same', () => {
  writeFileSync(join(folder, 'compile-cache'), 'no folder');
  expect([run(), run()]).toEqual([
    ['program.cjs 1', false],
    ['program.cjs 1', false],
  ]);
});
