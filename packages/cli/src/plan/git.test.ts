import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRevision } from './git.ts';

const directory = mkdtempSync(join(tmpdir(), 'rig-git-'));
const outside = mkdtempSync(join(tmpdir(), 'rig-no-git-'));
const mesh = join(directory, 'deploy', 'mesh');

function git(...args: string[]): void {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'commit.gpgsign=false'];
  execFileSync('git', [...identity, ...args], { cwd: directory, stdio: 'pipe' });
}

beforeAll(() => {
  mkdirSync(join(mesh, 'sub'), { recursive: true });
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(mesh, 'a.yaml'), 'a: ä\n');
  writeFileSync(join(mesh, 'sub', 'b.yml'), 'b: 1\n');
  writeFileSync(join(mesh, '.hidden.yaml'), 'no: 1\n');
  writeFileSync(join(mesh, 'README.md'), 'no\n');
  writeFileSync(join(directory, 'other.yaml'), 'other: 1\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  git('tag', 'first');
  writeFileSync(join(mesh, 'a.yaml'), 'a: 2\n');
  rmSync(join(mesh, 'sub'), { recursive: true });
  git('add', '-A');
  git('commit', '--quiet', '-m', 'second');
});
afterAll(() => {
  for (const one of [directory, outside]) rmSync(one, { recursive: true, force: true });
});

test('a folder is read as it was, a file too, each with the revision in its name', () => {
  expect(readRevision('first', [mesh])).toEqual([
    { file: `first:${join(mesh, 'a.yaml')}`, text: 'a: ä\n' },
    { file: `first:${join(mesh, 'sub', 'b.yml')}`, text: 'b: 1\n' },
  ]);
  expect(readRevision('main', [mesh])).toEqual([{ file: `main:${join(mesh, 'a.yaml')}`, text: 'a: 2\n' }]);
  expect(readRevision('HEAD~1', [join(mesh, 'a.yaml')])).toEqual([{ file: `HEAD~1:${join(mesh, 'a.yaml')}`, text: 'a: ä\n' }]);
});

test.each([
  ['an unknown revision', 'nowhere', mesh, 'is no revision of the git repository'],
  ['an option', '--output=x', mesh, 'is no revision'],
  ['a folder in no repository', 'main', outside, 'is in no git repository'],
  ['a folder that is not there', 'main', join(directory, 'gone', 'x'), 'is no folder'],
  ['standard input', 'main', '-', 'standard input has no revisions'],
])('%s is refused in words', (_, revision, path, message) => {
  expect(() => readRevision(revision, [path])).toThrow(expect.objectContaining({ message: expect.stringContaining(message) as string, exitCode: 2 }) as Error);
});
