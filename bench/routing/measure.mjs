/** Nanoseconds per call: the best of several rounds, since noise only ever adds. */
export function measure(name, call, calls = 1_000_000, rounds = 7) {
  for (let i = 0; i < calls / 10; i++) call(i);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) call(i);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / calls);
  }
  console.log(`${name.padEnd(44)} ${best.toFixed(1).padStart(8)} ns`);
  return best;
}
