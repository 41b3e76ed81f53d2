/** Sub-buckets of each power of two: a quantile is off by at most half of 1/16, about 3 %. */
const SUB_BITS = 4;
const SUB_COUNT = 1 << SUB_BITS;
/** Values are counted in thousandths of the unit (µs where the unit is ms). */
const SCALE = 1000;
/** 2^48 thousandths: nine years in ms, 280 GB in bytes. Above that everything is in the last bucket. */
const MAX_EXPONENT = 48;

/** Buckets of every histogram here; fixed, so that any two can be merged. */
export const BUCKET_COUNT = SUB_COUNT + (MAX_EXPONENT - SUB_BITS) * SUB_COUNT;

/** Bucket of a value (in its unit); 0 for negative values and NaN. */
export function bucketIndex(value: number): number {
  const scaled = Math.floor(value * SCALE);
  if (Number.isNaN(scaled)) return 0;
  if (scaled < SUB_COUNT) return Math.max(0, scaled);
  if (scaled >= 2 ** MAX_EXPONENT) return BUCKET_COUNT - 1;
  // Beyond 32 bits Math.clz32 does not see the whole number.
  const high = Math.floor(scaled / 0x1_0000_0000);
  const exponent = high > 0 ? 63 - Math.clz32(high) : 31 - Math.clz32(scaled);
  const sub = high > 0 ? Math.floor(scaled / 2 ** (exponent - SUB_BITS)) - SUB_COUNT : (scaled >>> (exponent - SUB_BITS)) & (SUB_COUNT - 1);
  return SUB_COUNT + (exponent - SUB_BITS) * SUB_COUNT + sub;
}

/** Smallest value that is above the bucket, in the unit. */
export function bucketUpperBound(index: number): number {
  if (index < SUB_COUNT) return (index + 1) / SCALE;
  const exponent = Math.floor((index - SUB_COUNT) / SUB_COUNT) + SUB_BITS;
  const sub = (index - SUB_COUNT) % SUB_COUNT;
  return ((SUB_COUNT + sub + 1) * 2 ** (exponent - SUB_BITS)) / SCALE;
}

function bucketLowerBound(index: number): number {
  return index === 0 ? 0 : bucketUpperBound(index - 1);
}

/** Edges of Istio's request duration and size histograms (Envoy's defaults): upper bounds, "le". */
export const ISTIO_EDGES: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

/**
 * Counts of values in fixed log-linear buckets, good for p50 and p99 within 5 %, and beside them exact counts below the
 * exported edges. Recording is two increments. Bench: bench/routing/telemetry.mjs.
 */
export class Histogram {
  /** Made with the first value: most series of a mesh stay empty. */
  #buckets: Uint32Array | null = null;
  #edgeCounts: Float64Array | null = null;
  readonly edges: readonly number[];
  count = 0;
  sum = 0;

  constructor(edges: readonly number[] = ISTIO_EDGES) {
    this.edges = edges;
  }

  record(value: number): void {
    if (this.#buckets === null || this.#edgeCounts === null) this.#allocate();
    const buckets = this.#buckets!;
    const edgeCounts = this.#edgeCounts!;
    const index = bucketIndex(value);
    buckets[index] = buckets[index]! + 1;
    const edge = this.#edgeOf(value);
    edgeCounts[edge] = edgeCounts[edge]! + 1;
    this.count++;
    // One NaN would make the sum useless for ever.
    if (value > 0) this.sum += value;
  }

  #allocate(): void {
    this.#buckets = new Uint32Array(BUCKET_COUNT);
    this.#edgeCounts = new Float64Array(this.edges.length + 1);
  }

  #edgeOf(value: number): number {
    const edges = this.edges;
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= edges[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Values at or below `edges[index]`. */
  cumulative(index: number): number {
    let total = 0;
    if (this.#edgeCounts !== null) for (let i = 0; i <= index; i++) total += this.#edgeCounts[i]!;
    return total;
  }

  /** 0 <= q <= 1; NaN where nothing was recorded. */
  quantile(q: number): number {
    if (this.#buckets === null || this.count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let index = 0; index < BUCKET_COUNT; index++) {
      seen += this.#buckets[index]!;
      if (seen >= rank) return (bucketLowerBound(index) + bucketUpperBound(index)) / 2;
    }
    return bucketUpperBound(BUCKET_COUNT - 1);
  }

  /** Adds another one's values. The edges must be the same. */
  merge(other: Histogram): void {
    if (other.#buckets === null || other.#edgeCounts === null) return;
    if (this.#buckets === null || this.#edgeCounts === null) this.#allocate();
    const buckets = this.#buckets!;
    const edgeCounts = this.#edgeCounts!;
    for (let i = 0; i < BUCKET_COUNT; i++) buckets[i] = buckets[i]! + other.#buckets[i]!;
    for (let i = 0; i < edgeCounts.length; i++) edgeCounts[i] = edgeCounts[i]! + (other.#edgeCounts[i] ?? 0);
    this.count += other.count;
    this.sum += other.sum;
  }

  /** Buckets that hold something, as (upper bound, count), ascending. */
  *filled(): Generator<readonly [upperBound: number, count: number]> {
    if (this.#buckets === null) return;
    for (let index = 0; index < BUCKET_COUNT; index++) {
      const count = this.#buckets[index]!;
      if (count > 0) yield [bucketUpperBound(index), count];
    }
  }
}

/** Upper bound ("le") and cumulative count, ascending by bound; the last bound may be Infinity. */
export type CumulativeBucket = readonly [upperBound: number, cumulative: number];

/** A quantile out of Prometheus buckets, linear within one, as `histogram_quantile` does. NaN where nothing was counted. */
export function quantileOfBuckets(buckets: readonly CumulativeBucket[], q: number): number {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let lower = 0;
  let below = 0;
  for (const [upper, cumulative] of buckets) {
    if (cumulative >= rank && cumulative > below) {
      if (upper === Number.POSITIVE_INFINITY) return lower;
      return lower + ((upper - lower) * (rank - below)) / (cumulative - below);
    }
    lower = upper;
    below = cumulative;
  }
  return lower;
}
