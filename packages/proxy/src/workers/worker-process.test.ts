import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WorkerProcess } from './worker-process.ts';

const { argv, execArgv } = process;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'worker-process-'));
});

afterEach(() => {
  Object.assign(process, { argv, execArgv });
  rmSync(folder, { recursive: true });
});

/** A worker is its parent's program again: here one that says it serves, where it does, and ends when it is told to retire. */
async function launch(serves: boolean): Promise<{ readonly worker: WorkerProcess; readonly reasons: readonly string[] }> {
  const program = join(folder, 'program.mjs');
  writeFileSync(
    program,
    `process.on('message', ({ outrigger }) => ${serves} && outrigger === 'retire' && process.exit(7));
     process.send({ outrigger: 'take-sockets' });
     if (${serves}) process.send({ outrigger: 'serving' });`,
  );
  Object.assign(process, { argv: [process.execPath, program], execArgv: [] });
  const reasons: string[] = [];
  let worker: WorkerProcess | undefined;
  await new Promise<void>((resolve) => {
    const events = { onServing: resolve, onSocket: () => {}, onSocketClosed: () => {}, onExit: (reason: string) => void reasons.push(reason) };
    worker = new WorkerProcess({ index: 0, count: 1, adsPath: '' }, new Map(), events);
    if (!serves) resolve();
  });
  return { worker: worker!, reasons };
}

it('that serves retires with what it has under way', async () => {
  const { worker, reasons } = await launch(true);
  worker.retire();
  await worker.exited;
  expect(reasons).toEqual(['ended with 7']);
});

it('that only starts, and hears nothing yet, is ended: nobody would retire it later', async () => {
  const { worker, reasons } = await launch(false);
  worker.retire();
  await worker.exited;
  expect(reasons).toEqual(['ended with SIGTERM']);
});
