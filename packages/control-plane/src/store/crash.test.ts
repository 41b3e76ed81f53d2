import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import type { Snapshot } from './testing/crash-model.ts';

const KILLS = 200;
const CHAINS = 4;
const writer = fileURLToPath(new URL('./testing/crash-writer.ts', import.meta.url));

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

interface Life {
  readonly found: Snapshot;
  /** The last step that it said was written. */
  readonly acknowledged: number;
}

/** One process's life: finds what is there, writes on, and dies with -9 in the middle of something. */
async function live(directory: string, compileCache: string): Promise<Life> {
  // Half of such a short life would be spent on compiling.
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
  const child = spawn(process.execPath, [writer, directory], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let found: Snapshot | undefined;
  let acknowledged = 0;
  // Not at the very moment of an answer: anywhere between two.
  const dieAfter = 1 + Math.floor(Math.random() * 4);
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (found === undefined) {
      found = JSON.parse(line) as Snapshot;
      acknowledged = found.step;
      return;
    }
    acknowledged = Number(line);
    if (acknowledged === found.step + dieAfter) setTimeout(() => child.kill('SIGKILL'), Math.random() * 4);
  });
  await ended;
  expect(child.signalCode).toBe('SIGKILL');
  return { found: found!, acknowledged };
}

test(`${KILLS} times killed in the midst of writes: every acknowledged write is there, the one under way is whole or absent`, {
  timeout: 600_000,
}, async () => {
  let inFlight = 0;
  const newDirectory = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'crash-'));
    directories.push(directory);
    return directory;
  };
  const compileCache = newDirectory();
  const chain = async (): Promise<void> => {
    const directory = newDirectory();
    let acknowledged = 0;
    for (let kills = 0; kills < KILLS / CHAINS; kills++) {
      const life = await live(directory, compileCache);
      expect(life.found.faults).toEqual([]);
      // One write is under way at a time.
      expect([acknowledged, acknowledged + 1]).toContain(life.found.step);
      expect([acknowledged, acknowledged + 1]).toContain(life.found.counter);
      expect(life.found.counter).toBeLessThanOrEqual(life.found.step);
      if (life.found.step > acknowledged) inFlight += 1;
      expect(life.acknowledged).toBeGreaterThan(life.found.step);
      acknowledged = life.acknowledged;
    }
  };
  await Promise.all(Array.from({ length: CHAINS }, chain));
  // Else every kill fell between two writes, and nothing was shown.
  expect(inFlight).toBeGreaterThan(0);
});
