// What rollouts do with versions of which it is known how they are: the table of docs/rollouts.md. node bench/control-plane/rollouts.mjs [RUNS]
// Simulated and seeded, so the figures are the same on every machine; it takes half a minute for 200 runs a line.
import { begin, isOver, observe, planOf, splitOf } from '../../packages/control-plane/src/rollout/decide.ts';
import { seeded, served } from '../../packages/control-plane/src/rollout/testing/simulated.ts';

const runs = Number(process.argv[2] ?? 200);
const plan = planOf(
  { to: 'v2', steps: [1, 10, 50, 100], every: '60s', require: ['success>=99.5%', 'p99<=1.2x'], confidence: 99, minimumRequests: 100, deadline: '30m' },
  'v1',
);
const here = { from: 1, to: 1, others: 0 };
const RATE = 200;
const MAX_SECONDS = 3 * 3600;

function rollout(old, fresh, seed) {
  const random = seeded(seed);
  let state = begin(plan, 0);
  let failed = 0;
  let requests = 0;
  let second = 0;
  while (!isOver(state) && state.phase !== 'paused' && second < MAX_SECONDS) {
    second += 1;
    const { to: weight } = splitOf(plan, state, here);
    const share = (percent) => Math.floor((RATE * percent) / 100 + random());
    const [from, to] = [served(share(100 - weight), old, random), served(share(weight), fresh, random)];
    failed += to.failures;
    requests += to.requests;
    state = observe(plan, state, { nowMs: second * 1000, present: here, from, to });
  }
  return { phase: state.phase, step: state.step, failed, requests, second };
}

const v1 = { failing: 0.001, medianMs: 20 };
const lines = [
  ['as good as v1 (fails 0.1 %)', v1],
  ['fails 0.5 %, all that is allowed', { ...v1, failing: 0.005 }],
  ['fails 1 %', { ...v1, failing: 0.01 }],
  ['fails 2 %', { ...v1, failing: 0.02 }],
  ['fails 3 %', { ...v1, failing: 0.03 }],
  ['fails 10 %', { ...v1, failing: 0.1 }],
  ['fails always', { ...v1, failing: 1 }],
  ['takes 1.5 times as long', { ...v1, medianMs: 30 }],
  ['takes twice as long', { ...v1, medianMs: 40 }],
];
console.log(
  '| the new version | rolled back | reached 100 % | paused | its requests till then (median) | of these failed (median, 95 of 100, most) | after (median) |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- |');
for (const [index, [name, fresh]] of lines.entries()) {
  const all = Array.from({ length: runs }, (_, run) => rollout(v1, fresh, 10_000 * index + run));
  const share = (phase) => `${((100 * all.filter((one) => one.phase === phase).length) / runs).toFixed(1)} %`;
  const ranked = (field, at) => all.map((one) => one[field]).sort((a, b) => a - b)[Math.min(runs - 1, Math.floor(at * runs))];
  console.log(
    `| ${name} | ${share('rolled-back')} | ${share('succeeded')} | ${share('paused')} | ${ranked('requests', 0.5)} | ${ranked('failed', 0.5)}, ${ranked('failed', 0.95)}, ${ranked('failed', 1)} | ${ranked('second', 0.5)} s |`,
  );
}
