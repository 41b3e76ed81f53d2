import { Histogram, ISTIO_EDGES } from './histogram.ts';

/** Only grows. */
export class Counter {
  value = 0;

  inc(): void {
    this.value++;
  }

  add(amount: number): void {
    this.value += amount;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(): void {
    this.value++;
  }

  dec(): void {
    this.value--;
  }
}

export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** Series of one family beyond this go into one that says "overflow" for every label. */
export const DEFAULT_MAX_SERIES = 2000;
export const OVERFLOW_VALUE = 'overflow';
/** A label's value is cut there: some come from peers. */
export const MAX_LABEL_VALUE_LENGTH = 256;

export interface Series<M> {
  readonly labels: readonly string[];
  readonly metric: M;
}

/**
 * One metric name with its label names. `with` finds or makes the series for a set of label values: call it when a
 * route or a cluster is configured and keep the object; counting is then an addition.
 */
export class MetricFamily<M> {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly labelNames: readonly string[];
  readonly #make: () => M;
  readonly #series = new Map<string, Series<M>>();
  #overflow: Series<M> | null = null;
  readonly #maxSeries: number;

  constructor(name: string, help: string, kind: MetricKind, labelNames: readonly string[], make: () => M, maxSeries: number) {
    this.name = name;
    this.help = help;
    this.kind = kind;
    this.labelNames = labelNames;
    this.#make = make;
    this.#maxSeries = maxSeries;
  }

  /** Values in the order of `labelNames`. */
  with(...values: readonly string[]): M {
    const labels = values.map((value) => (value.length > MAX_LABEL_VALUE_LENGTH ? value.slice(0, MAX_LABEL_VALUE_LENGTH) : value));
    const key = labels.join('\u0000');
    const found = this.#series.get(key);
    if (found !== undefined) return found.metric;
    if (labels.length !== this.labelNames.length) throw new RangeError(`${this.name} has ${this.labelNames.length} labels, not ${labels.length}`);
    // One place is the overflow series'.
    if (this.#series.size >= this.#maxSeries - 1 && labels.length > 0) {
      this.#overflow ??= { labels: labels.map(() => OVERFLOW_VALUE), metric: this.#make() };
      return this.#overflow.metric;
    }
    const series = { labels, metric: this.#make() };
    this.#series.set(key, series);
    return series.metric;
  }

  /** Forgets a series whose subject is gone (a removed cluster). */
  remove(...values: readonly string[]): void {
    this.#series.delete(values.join('\u0000'));
  }

  *series(): Generator<Series<M>> {
    yield* this.#series.values();
    if (this.#overflow !== null) yield this.#overflow;
  }
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** All metrics of one proxy. */
export class MetricRegistry {
  readonly #families = new Map<string, MetricFamily<Counter> | MetricFamily<Gauge> | MetricFamily<Histogram>>();
  readonly #maxSeries: number;

  constructor(maxSeries: number = DEFAULT_MAX_SERIES) {
    this.#maxSeries = maxSeries;
  }

  counter(name: string, help: string, ...labelNames: readonly string[]): MetricFamily<Counter> {
    return this.#family(name, help, 'counter', labelNames, () => new Counter());
  }

  gauge(name: string, help: string, ...labelNames: readonly string[]): MetricFamily<Gauge> {
    return this.#family(name, help, 'gauge', labelNames, () => new Gauge());
  }

  /** With Istio's edges. */
  histogram(name: string, help: string, ...labelNames: readonly string[]): MetricFamily<Histogram> {
    return this.#family(name, help, 'histogram', labelNames, () => new Histogram(ISTIO_EDGES));
  }

  families(): Iterable<MetricFamily<Counter> | MetricFamily<Gauge> | MetricFamily<Histogram>> {
    return this.#families.values();
  }

  /** The same name gives the same family. */
  #family<M extends Counter | Gauge | Histogram>(name: string, help: string, kind: MetricKind, labelNames: readonly string[], make: () => M): MetricFamily<M> {
    const found = this.#families.get(name);
    if (found !== undefined) {
      if (found.kind !== kind || found.labelNames.join() !== labelNames.join())
        throw new RangeError(`metric ${name} is registered with other labels or another type`);
      return found as unknown as MetricFamily<M>;
    }
    if (!NAME.test(name)) throw new RangeError(`${JSON.stringify(name)} is no metric name`);
    const family = new MetricFamily(name, help, kind, labelNames, make, this.#maxSeries);
    this.#families.set(name, family as unknown as MetricFamily<Counter>);
    return family;
  }
}
