import { FastRandom } from '@outrigger/telemetry';
import { mutate } from './mutate.ts';

/** A parser, or a way through the proxy, that is given whatever bytes there are. */
export interface Target {
  readonly name: string;
  readonly corpus: readonly Buffer[];
  /** Throws where something holds no more. `random` is for how the bytes come, not for what they are. */
  run(input: Buffer, random: FastRandom): Promise<void> | void;
  /** All that was begun has come to its end. */
  end?(): Promise<void>;
}

const SHRINK_ATTEMPTS = 300;

async function fails(target: Target, input: Buffer, seed: number): Promise<unknown> {
  try {
    await target.run(input, new FastRandom([seed, 1, 1, 1]));
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A shorter input that fails as well. */
async function shrink(target: Target, failing: Buffer, seed: number): Promise<Buffer> {
  let input = failing;
  let attempts = 0;
  for (let size = Math.ceil(input.length / 2); size >= 1 && attempts < SHRINK_ATTEMPTS; size = Math.floor(size / 2)) {
    for (let p = 0; p < input.length && attempts < SHRINK_ATTEMPTS; attempts++) {
      const shorter = Buffer.concat([input.subarray(0, p), input.subarray(p + size)]);
      if ((await fails(target, shorter, seed)) !== undefined) input = shorter;
      else p += size;
    }
  }
  return input;
}

/** The corpus, then changes of it, for so long. Returns how many inputs that were. */
export async function fuzz(target: Target, forMs: number, seed: number): Promise<number> {
  const random = new FastRandom([seed, 2, 3, 4]);
  const endMs = performance.now() + forMs;
  let count = 0;
  for (; count < target.corpus.length || performance.now() < endMs; count++) {
    const input = count < target.corpus.length ? target.corpus[count]! : mutate(target.corpus, random);
    const error = await fails(target, input, count);
    if (error === undefined) continue;
    const short = await shrink(target, input, count);
    const cause = (await fails(target, short, count)) ?? error;
    throw new Error(`${target.name}, seed ${seed}, input ${count}: ${String(cause)}; shortest: ${JSON.stringify(short.toString('latin1'))}`, { cause });
  }
  await target.end?.();
  return count;
}
