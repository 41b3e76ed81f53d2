import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { InstanceDirectory, InstanceTaken } from './directory.ts';

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'rig-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

test('an instance is of one process at a time', () => {
  const first = new InstanceDirectory(state, 'default', 'web');
  expect(() => new InstanceDirectory(state, 'default', 'web')).toThrow(InstanceTaken);
  const other = new InstanceDirectory(state, 'default', 'web-2');
  first.release();
  const again = new InstanceDirectory(state, 'default', 'web');
  again.release();
  other.release();
});

test('only its user may enter', () => {
  const directory = new InstanceDirectory(state, 'default', 'web');
  expect(statSync(directory.path).mode & 0o777).toBe(0o700);
  directory.release();
});

test('a state directory that is too deep for sockets is refused', () => {
  expect(() => new InstanceDirectory(join(state, 'x'.repeat(100)), 'default', 'web')).toThrow(/longer than 104 bytes/);
});
