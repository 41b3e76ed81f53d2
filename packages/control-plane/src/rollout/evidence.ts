import { addBuckets, type Edge, type Traffic, type Unreached } from '../telemetry/windows.ts';
import type { Arm } from './judge.ts';

/** By what the traffic of one version is known. */
export interface ArmKey {
  readonly subset: string;
  /** Values of the label `version` that its instances have. */
  readonly versions: ReadonlySet<string>;
}

interface Sum {
  requests: number;
  failures: number;
  durations: Map<number, number>;
}

interface Side {
  readonly key: ArmKey;
  /** As the version's own sidecars counted. */
  called: Sum;
  /** As its callers counted: a request that was tried again is one. */
  calling: Sum;
  /** Of the callers' those that never came to a sidecar. */
  unreached: number;
}

/** What is seen of two versions of one service, until it is taken. */
export class Evidence {
  readonly #service: string;
  readonly #namespace: string;
  #from: Side;
  #to: Side;

  constructor(service: { readonly name: string; readonly namespace: string }, from: ArmKey, to: ArmKey) {
    this.#service = service.name;
    this.#namespace = service.namespace;
    this.#from = newSide(from);
    this.#to = newSide(to);
  }

  isOf(service: string, namespace: string): boolean {
    return service === this.#service && namespace === this.#namespace;
  }

  /** The versions are known by something else now. */
  rename(from: ArmKey, to: ArmKey): void {
    this.#from = { ...this.#from, key: from };
    this.#to = { ...this.#to, key: to };
  }

  add({ reporter, to }: Edge, traffic: Traffic, unreached: boolean): void {
    if (!this.isOf(to.service, to.namespace)) return;
    const side = [this.#from, this.#to].find(({ key }) => key.versions.has(to.version));
    if (side === undefined) return;
    if (reporter === 'destination') addTo(side.called, traffic);
    else {
      addTo(side.calling, traffic);
      if (unreached) side.unreached += traffic.requests;
    }
  }

  addUnreached({ service, namespace, subset, requests }: Unreached): void {
    if (!this.isOf(service, namespace)) return;
    const side = [this.#from, this.#to].find(({ key }) => key.subset === subset);
    if (side === undefined) return;
    side.unreached += requests;
    side.calling.requests += requests;
    side.calling.failures += requests;
  }

  /** What came since it was last taken. `asCalled`: as the versions' sidecars say; else, where they have none, as their callers do. */
  take(asCalled: boolean): { readonly from: Arm; readonly to: Arm } {
    const arms = { from: armOf(this.#from, asCalled), to: armOf(this.#to, asCalled) };
    this.#from = newSide(this.#from.key);
    this.#to = newSide(this.#to.key);
    return arms;
  }
}

function armOf({ called, calling, unreached }: Side, asCalled: boolean): Arm {
  return asCalled ? { ...called, requests: called.requests + unreached, failures: called.failures + unreached } : calling;
}

function newSide(key: ArmKey): Side {
  const sum = (): Sum => ({ requests: 0, failures: 0, durations: new Map() });
  return { key, called: sum(), calling: sum(), unreached: 0 };
}

function addTo(sum: Sum, { requests, failures, durations }: Traffic): void {
  sum.requests += requests;
  sum.failures += failures;
  addBuckets(sum.durations, durations);
}
