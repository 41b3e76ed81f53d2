import type { Store } from '../open-store.ts';
import { keyOf, type NewObject, type Source, type StoredItem, type Write } from '../resource-store.ts';

/** Items that are there at once: each step makes one and deletes the one of so many steps before. */
const LIVING_ITEMS = 20;
const TRIPLET = ['a', 'b', 'c'];
const source: Source = { manager: 'api', file: 'crash.yaml', line: 1 };

function object(name: string, step: number): NewObject {
  // Of sizes from a few bytes to several pages, so that writes take their time.
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name, namespace: 'default' }, spec: { step, padding: paddingOf(step) } };
}

function paddingOf(step: number): string {
  return String(step % 10).repeat((step * 7919) % 30_000);
}

/** One transaction: three objects that always have the same step, one new item, and the oldest gone. Step after step, each one revision. */
export function writesOf(step: number): Write[] {
  const writes: Write[] = [...TRIPLET, `item-${step}`].map((name) => ({ type: 'put', object: object(name, step), source }));
  if (step > LIVING_ITEMS) writes.push({ type: 'delete', key: keyOf(object(`item-${step - LIVING_ITEMS}`, 0)) });
  return writes;
}

/** What a process finds in the store when it starts. */
export interface Snapshot {
  /** The last step that is there. */
  readonly step: number;
  readonly counter: number;
  /** Everything that is not as that step leaves it; empty: it is whole. */
  readonly faults: readonly string[];
}

export async function snapshotOf(store: Store): Promise<Snapshot> {
  const faults: string[] = [];
  const { items, resourceVersion } = await store.resources.list();
  const step = Number(resourceVersion);
  faults.push(...faultsOf(items, step));
  // What was is kept as whole as what is.
  const past = Math.max(0, step - 7);
  faults.push(...faultsOf(await store.resources.at(String(past)), past).map((fault) => `${fault} in the past of step ${step}`));
  let last = Math.max(0, step - 10);
  store.resources.watch(String(last), ({ revision }) => {
    if (Number(revision) !== last + 1) faults.push(`revision ${revision} follows ${last}`);
    last = Number(revision);
  })();
  if (last !== step) faults.push(`the last revision is ${last}, not ${step}`);
  return { step, counter: store.records<number>('setting').get('counter') ?? 0, faults };
}

function faultsOf(items: readonly StoredItem[], step: number): string[] {
  const faults: string[] = [];
  const found = new Map(items.map((item) => [item.object.metadata.name, item.object]));
  const expected = step === 0 ? [] : [...TRIPLET, ...Array.from({ length: Math.min(step, LIVING_ITEMS) }, (_, index) => `item-${step - index}`)];
  for (const name of expected) {
    const spec = found.get(name)?.['spec'] as { step: number; padding: string } | undefined;
    const wanted = name.startsWith('item-') ? Number(name.slice('item-'.length)) : step;
    if (spec === undefined) faults.push(`${name} is missing`);
    else if (spec.step !== wanted || spec.padding !== paddingOf(wanted)) faults.push(`${name} is of step ${spec.step}, not ${wanted}`);
    found.delete(name);
  }
  for (const name of found.keys()) faults.push(`${name} should be gone`);
  return faults;
}
