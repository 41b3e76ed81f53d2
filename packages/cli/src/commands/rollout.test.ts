import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RolloutView } from '@outrigger/control-plane/api';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { main } from '../program.ts';

const view = (more: Partial<RolloutView> = {}): RolloutView => ({
  namespace: 'default',
  name: 'orders',
  service: 'orders.default.svc.cluster.local',
  from: 'v1',
  to: 'v2',
  phase: 'progressing',
  steps: [10, 100],
  step: 0,
  weight: 10,
  mirror: 0,
  heldMs: 3_000,
  everyMs: 60_000,
  deadlineMs: 1_800_000,
  arms: { from: { requests: 900, failures: 0, successRatio: 1, p99Ms: 20 }, to: { requests: 100, failures: 2, successRatio: 0.98, p99Ms: 31 } },
  checks: [{ requirement: 'success>=99%', state: 'undecided', text: 'not enough yet to tell' }],
  verdict: '10 % to v2: waiting',
  routes: ['every call of orders'],
  startedAtMs: 1,
  history: [{ atMs: 1, text: 'begun: 10 % to v2' }],
  ...more,
});
const passed = { atMs: 2, text: 'passed; 100 % to v2' };

/** A control plane's API that gives these answers, one after the other, the last one for ever; undefined: it does not answer. */
let answers: (RolloutView[] | undefined)[];
const asked: { readonly request: string; readonly body: unknown }[] = [];
const directory = (): string => mkdtempSync(join(tmpdir(), 'rig-'));
let state: string;
let server: Server;
let printed: string;

beforeEach(async () => {
  state = directory();
  printed = '';
  asked.length = 0;
  vi.spyOn(console, 'log').mockImplementation((line) => {
    printed += `${line}\n`;
  });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  mkdirSync(join(state, 'run'));
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    asked.push({ request: `${request.method} ${request.url}`, body: text === '' ? undefined : JSON.parse(text) });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === undefined) response.destroy();
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(request.method === 'POST' ? answer[0] : answer));
  });
  await new Promise<void>((resolve) => server.listen(join(state, 'run/api.sock'), resolve));
});
afterEach(() => {
  vi.restoreAllMocks();
  server.close();
  rmSync(state, { recursive: true, force: true });
  process.exitCode = 0;
});

async function rig(...args: string[]): Promise<number> {
  process.exitCode = 0;
  await main(['node', 'rig', '--state', state, 'rollout', ...args]);
  return Number(process.exitCode);
}

test('start says all that was asked for, and nothing that was not', async () => {
  answers = [[view()]];
  const options = [
    '--steps',
    '10%,100',
    '--every',
    '5s',
    '--require',
    'success>=99%',
    '--require',
    'p99<=1.2x',
    '--sticky',
    'header:x-user',
    '--mirror-first',
    '5',
  ];
  expect(await rig('start', 'orders.shop', '--to', 'v2', ...options)).toBe(0);
  expect(asked).toEqual([
    {
      request: 'POST /api/v1/rollouts',
      body: {
        namespace: 'shop',
        name: 'orders',
        spec: {
          service: 'orders',
          to: 'v2',
          steps: [10, 100],
          every: '5s',
          require: ['success>=99%', 'p99<=1.2x'],
          sticky: { header: 'x-user' },
          mirrorFirst: 5,
        },
      },
    },
  ]);
  expect(printed).toContain('v2       10 %    100       2       98.0 %   31 ms');
  await rig('start', 'orders', '--to', 'v2', '-o', 'json');
  expect(asked[1]?.body).toEqual({ namespace: 'default', name: 'orders', spec: { service: 'orders', to: 'v2' } });
  expect(printed).toContain('"phase": "progressing"');
});

test.each([
  ['a way to stick that is none', ['--sticky', 'x-user']],
  ['steps that are no numbers', ['--steps', '1,many']],
])('%s is a mistake of the command line', async (_, options) => {
  answers = [[view()]];
  expect(await rig('start', 'orders', '--to', 'v2', ...options)).toBe(2);
  expect(asked).toEqual([]);
});

describe('--wait', () => {
  test.each([
    ['succeeded', 0],
    ['rolled-back', 1],
    ['aborted', 1],
    ['paused', 4],
  ] as const)('where it ends %s: exit code %i', async (phase, code) => {
    answers = [[view()], [view({ phase, weight: 100, step: 1, history: [...view().history, passed], verdict: 'the end' })]];
    expect(await rig('start', 'orders', '--to', 'v2', '--wait')).toBe(code);
    expect(printed).toBe('rollout orders: 10 % to v2: waiting\n[####################] 100 % passed; 100 % to v2\nrollout orders: the end\n');
  });

  test('goes on where the control plane starts again meanwhile', async () => {
    answers = [[view()], undefined, [view({ phase: 'succeeded', verdict: 'the end' })]];
    expect(await rig('start', 'orders', '--to', 'v2', '--wait')).toBe(0);
    expect(asked).toHaveLength(3);
  });

  test('ends where it is deleted', async () => {
    answers = [[view()], []];
    expect(await rig('start', 'orders', '--to', 'v2', '--wait')).toBe(1);
    expect(printed).toContain('rollout orders has been deleted');
  });

  test('ends with its time', async () => {
    answers = [[view()]];
    expect(await rig('status', 'orders', '--wait', '0.1')).toBe(4);
  });
});

test('another name for what acts on a service is found by the service', async () => {
  answers = [[view({ name: 'canary' })], [view({ name: 'canary', phase: 'aborted' })]];
  expect(await rig('abort', 'orders')).toBe(0);
  expect(asked.map(({ request }) => request)).toEqual(['GET /api/v1/rollouts', 'POST /api/v1/rollouts/default/canary/abort']);
  answers = [[]];
  expect(await rig('status', 'orders')).toBe(1);
  expect(printed).toContain('there is no rollout of orders in namespace default');
});

test('list has a line for each', async () => {
  answers = [[view(), view({ name: 'web', phase: 'waiting', weight: null, verdict: 'has not begun: there is no service web' })]];
  await rig('list');
  expect(printed.split('\n').slice(1, 3)).toEqual([
    'default    orders  v1    v2  progressing  10 %    10 % to v2: waiting',
    'default    web     v1    v2  waiting      -       has not begun: there is no service web',
  ]);
});
