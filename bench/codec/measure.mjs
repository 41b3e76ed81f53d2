/**
 * Nanoseconds of processor time per call, garbage collection in other threads included: the best of several rounds. Not
 * of the clock, which counts what other processes of the machine take.
 */
export function measure(name, call, calls = 200_000, rounds = 7) {
  for (let i = 0; i < calls / 2; i++) call(i);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < calls; i++) call(i);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, ((user + system) * 1000) / calls);
  }
  report(name, best, 'ns');
  return best;
}

export function report(name, value, unit) {
  console.log(`${name.padEnd(44)} ${value.toFixed(0).padStart(8)} ${unit}`);
}
