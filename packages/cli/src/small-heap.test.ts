import { expect, test } from 'vitest';
import { startWithSmallHeap } from './small-heap.ts';

test.each([
  ['rig up', ['up', '--config', 'd'], [], {}],
  ['a mesh of its own', ['--state', 'up', 'up'], ['--inspect'], {}],
])('%s starts anew with a small heap, and is then let be', (_case, args, execArgv, environment) => {
  const argv = ['/node', '/rig.js', ...args];
  const start = startWithSmallHeap(argv, execArgv, { HOME: '/home', ...environment });
  expect(start).toEqual({
    args: [process.execPath, '--max-semi-space-size=8', ...execArgv, '/rig.js', ...args],
    environment: { HOME: '/home', MALLOC_ARENA_MAX: '1' },
  });
  expect(startWithSmallHeap(argv, start!.args.slice(1, -argv.length + 1), start!.environment)).toBeUndefined();
});

test.each([
  ['another command', ['get', 'up'], [], {}],
  ['a folder called up', ['--state', 'up', 'status'], [], {}],
  ['no command', [], [], {}],
  ['who chose by an option', ['up'], ['--max-semi-space-size=32'], {}],
  ['who chose by the environment', ['up'], [], { NODE_OPTIONS: '--max-semi-space-size=32' }],
])('%s is left alone', (_case, args, execArgv, environment) => {
  expect(startWithSmallHeap(['/node', '/rig.js', ...args], execArgv, environment)).toBeUndefined();
});
