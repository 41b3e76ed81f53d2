/** Buckets of a duration histogram: upper bound (ms) -> how many. */
export type Buckets = ReadonlyMap<number, number>;

/** What happened on one edge in some time. */
export interface Traffic {
  readonly requests: number;
  readonly failures: number;
  /** Requests over mutual TLS. */
  readonly mtls: number;
  /** Requests that are known to have gone without it; of the rest it is not known. */
  readonly plain: number;
  readonly durations: Buckets;
}

/** One caller and one called, as one side counted it. '' where it did not know. */
export interface Edge {
  readonly reporter: 'source' | 'destination';
  readonly from: Party;
  readonly to: Party;
}

export interface Party {
  readonly service: string;
  readonly namespace: string;
  readonly version: string;
}

/** Requests that reached no endpoint of a subset: their caller alone knows of them. */
export interface Unreached {
  readonly service: string;
  readonly namespace: string;
  readonly subset: string;
  readonly requests: number;
}

export interface EdgeTraffic extends Edge, Traffic {}

interface Slot {
  /** Whole seconds since 1970. */
  second: number;
  requests: number;
  failures: number;
  mtls: number;
  plain: number;
  durations: Map<number, number>;
}

/** The longest window that can be asked for. */
export const MAX_WINDOW_MS = 60_000;
const SLOT_MS = 1_000;
/** Above it new edges are not counted, and said to be missing. */
export const MAX_EDGES = 5_000;

/** Traffic of the last minute, in slots of a second. */
export class Windows {
  readonly #edges = new Map<string, { readonly edge: Edge; readonly slots: Slot[] }>();
  #dropped = 0;

  get edges(): number {
    return this.#edges.size;
  }

  /** Observations that found no room. */
  get dropped(): number {
    return this.#dropped;
  }

  add(edge: Edge, traffic: Traffic, nowMs: number): void {
    const key = JSON.stringify([edge.reporter, edge.from.namespace, edge.from.service, edge.from.version, edge.to.namespace, edge.to.service, edge.to.version]);
    let entry = this.#edges.get(key);
    if (entry === undefined) {
      if (this.#edges.size >= MAX_EDGES) {
        this.#dropped += 1;
        return;
      }
      entry = { edge, slots: [] };
      this.#edges.set(key, entry);
    }
    const second = Math.floor(nowMs / SLOT_MS);
    let slot = entry.slots.at(-1);
    if (slot?.second !== second) {
      slot = { second, requests: 0, failures: 0, mtls: 0, plain: 0, durations: new Map() };
      entry.slots.push(slot);
    }
    slot.requests += traffic.requests;
    slot.failures += traffic.failures;
    slot.mtls += traffic.mtls;
    slot.plain += traffic.plain;
    addBuckets(slot.durations, traffic.durations);
    trim(entry.slots, second);
  }

  /** The sum over the last `windowMs`, of edges with any traffic in it. Edges of which nothing is left are forgotten. */
  since(nowMs: number, windowMs: number): EdgeTraffic[] {
    const last = Math.floor(nowMs / SLOT_MS);
    const first = last - Math.ceil(Math.min(windowMs, MAX_WINDOW_MS) / SLOT_MS) + 1;
    const found: EdgeTraffic[] = [];
    for (const [key, { edge, slots }] of this.#edges) {
      trim(slots, last);
      if (slots.length === 0) {
        this.#edges.delete(key);
        continue;
      }
      const sum = { ...edge, requests: 0, failures: 0, mtls: 0, plain: 0, durations: new Map<number, number>() };
      for (const slot of slots) {
        if (slot.second < first) continue;
        sum.requests += slot.requests;
        sum.failures += slot.failures;
        sum.mtls += slot.mtls;
        sum.plain += slot.plain;
        addBuckets(sum.durations, slot.durations);
      }
      if (sum.requests > 0) found.push(sum);
    }
    return found;
  }
}

function trim(slots: Slot[], lastSecond: number): void {
  const oldest = lastSecond - MAX_WINDOW_MS / SLOT_MS;
  let stale = 0;
  while (stale < slots.length && slots[stale]!.second < oldest) stale += 1;
  if (stale > 0) slots.splice(0, stale);
}

export function addBuckets(into: Map<number, number>, from: Buckets): void {
  for (const [bound, count] of from) into.set(bound, (into.get(bound) ?? 0) + count);
}
