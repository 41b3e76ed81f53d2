/** How much of the traffic each priority takes, in percent, and whether it is in panic. */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  readonly panic: readonly boolean[];
}

export interface PriorityCounts {
  /** Those that are left out included. */
  readonly hosts: number;
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
  const availability = (part: number, total: number): number => (total === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * 100 * part) / total)));
  const healthy = counts.map((count) => availability(count.healthy, count.total));
  const degraded = counts.map((count) => availability(count.degraded, count.total));
  const sum = [...healthy, ...degraded].reduce((a, b) => a + b, 0);
  const normalized = Math.min(100, sum);
  const share = ({ healthy, degraded, total }: PriorityCounts): number => (total === 0 ? 0 : (healthy + degraded) / total);
  const panic = counts.map((count) => normalized < 100 && share(count) < panicThreshold);
  // With nobody well enough anywhere each takes by the number of its hosts, whatever their health.
  if (panic.length > 0 && panic.every((one) => one)) return { healthy: byHosts(counts), degraded: counts.map(() => 0), panic };
  if (normalized === 0) {
    return { healthy: counts.map(() => 0), degraded: counts.map(() => 0), panic };
  }
  let left = 100;
  const take = (available: number): number => {
    const load = Math.min(left, Math.floor((available * 100) / normalized));
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

function byHosts(counts: readonly PriorityCounts[]): number[] {
  const all = counts.reduce((sum, { hosts }) => sum + hosts, 0);
  if (all === 0) return counts.map(() => 0);
  const loads = counts.map(({ hosts }) => Math.floor((100 * hosts) / all));
  const first = counts.findIndex(({ hosts }) => hosts > 0);
  loads[first] = loads[first]! + 100 - loads.reduce((sum, load) => sum + load, 0);
  return loads;
}
