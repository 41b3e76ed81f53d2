/** A process that writes to a store until it is killed: `node crash-writer.ts DIRECTORY`. See crash.test.ts. */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { openStore } from '../open-store.ts';
import { snapshotOf, writesOf } from './crash-model.ts';

const [, , directory = ''] = process.argv;
const store = await openStore(directory, { now: Date.now, historyRevisions: 50 });
const say = (line: unknown): void => void writeSync(1, `${JSON.stringify(line)}\n`);

// Who is killed writes no cache at its end.
flushCompileCache();
const snapshot = await snapshotOf(store);
say(snapshot);
const counter = store.records<number>('setting');
for (let step = snapshot.step + 1; ; step++) {
  await store.resources.transact(writesOf(step));
  counter.put('counter', step);
  // Synchronous: what the pipe has, the parent reads, whenever this process dies.
  say(step);
}
