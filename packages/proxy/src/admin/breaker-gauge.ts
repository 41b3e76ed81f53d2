import type { Gauge, MetricFamily, MetricRegistry } from '@outrigger/telemetry';
import type { ClusterSet } from '../upstream/cluster-set.ts';

const VALUES = { closed: 0, 'half-open': 1, open: 2 } as const;

/** outrigger_endpoint_breaker: a series for each endpoint whose breaker is not closed, brought up to date when the page is read. */
export class BreakerGauge {
  readonly #family: MetricFamily<Gauge>;
  readonly #clusters: ClusterSet;
  #shown: readonly (readonly [string, string])[] = [];

  constructor(registry: MetricRegistry, clusters: ClusterSet) {
    this.#family = registry.gauge(
      'outrigger_endpoint_breaker',
      'Circuit breaker of an endpoint as this proxy has it: 1 half-open, 2 open.',
      'cluster',
      'endpoint',
    );
    this.#clusters = clusters;
  }

  refresh(): void {
    for (const labels of this.#shown) this.#family.remove(...labels);
    const shown: (readonly [string, string])[] = [];
    for (const cluster of this.#clusters.all) {
      for (const host of cluster.hosts) {
        const value = VALUES[host.outlier.state];
        if (value === 0) continue;
        const labels = [cluster.name, host.address] as const;
        this.#family.with(...labels).set(value);
        shown.push(labels);
      }
    }
    this.#shown = shown;
  }
}
