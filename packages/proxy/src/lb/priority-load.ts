/** How much of the traffic each priority takes, in percent, and whether it is in panic. */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  readonly panic: readonly boolean[];
}

export interface PriorityCounts {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

/**
 * Envoy's priority levels: the first takes all while enough of it is healthy (`overprovisioning` 1.4 means that 72 % is
 * enough), the rest spills over to the next; degraded hosts come after all healthy ones. With too few hosts anywhere,
 * a priority below the panic threshold uses all of its hosts.
 */
export function priorityLoads(counts: readonly PriorityCounts[], overprovisioning: number, panicThreshold: number): PriorityLoad {
  const available = (part: number, total: number): number => (total === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * 100 * part) / total)));
  const healthy = counts.map((count) => available(count.healthy, count.total));
  const degraded = counts.map((count) => available(count.degraded, count.total));
  const sum = [...healthy, ...degraded].reduce((a, b) => a + b, 0);
  const normalized = Math.min(100, sum);
  const panic = counts.map((count) => normalized < 100 && count.total > 0 && (count.healthy + count.degraded) / count.total < panicThreshold);
  if (normalized === 0) {
    // Nothing is available: the first priority that may panic takes everything.
    const first = panic.indexOf(true);
    return { healthy: counts.map((_, index) => (index === first ? 100 : 0)), degraded: counts.map(() => 0), panic };
  }
  let left = 100;
  const take = (share: number): number => {
    const load = Math.min(left, Math.round((share * 100) / normalized));
    left -= load;
    return load;
  };
  const healthyLoad = healthy.map(take);
  const degradedLoad = degraded.map(take);
  if (left > 0) {
    // What rounding has left goes to the first that takes part.
    const first = healthyLoad.findIndex((load) => load > 0);
    if (first >= 0) healthyLoad[first] = healthyLoad[first]! + left;
    else {
      const firstDegraded = degradedLoad.findIndex((load) => load > 0);
      degradedLoad[firstDegraded] = degradedLoad[firstDegraded]! + left;
    }
  }
  return { healthy: healthyLoad, degraded: degradedLoad, panic };
}
