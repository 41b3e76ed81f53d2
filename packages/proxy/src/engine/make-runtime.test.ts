import type { Steps } from '@outrigger/xds/slices';
import { expect, it } from 'vitest';
import { SecretTable } from '../tls/secrets.ts';
import { makeRuntime, processParts } from './make-runtime.ts';

it('a mistake in what is done in the background is said, and the next is done', async () => {
  const said: string[] = [];
  const { background, faults } = makeRuntime(new SecretTable(), (_level, message) => said.push(message), processParts(), {});
  background(broken());
  const done = await new Promise<boolean>((resolve) => background(whole(resolve)));
  expect(done).toBe(true);
  expect([faults.count, said]).toEqual([1, [expect.stringContaining('a change of endpoints was lost')]]);
});

// biome-ignore lint/correctness/useYield: it does not come so far.
function* broken(): Steps<void> {
  throw new Error('impossible');
}

function* whole(then: (done: boolean) => void): Steps<void> {
  yield;
  then(true);
}
