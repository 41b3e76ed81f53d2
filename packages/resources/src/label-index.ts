import { matchesLabels } from './labels.ts';

/** A namespace and labels in it: those that something has, or those that something selects. */
export interface LabelsIn {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What has labels, found by what selects it at a cost that does not grow with how many there are: filed under each of its labels. */
export class LabelIndex<Item> {
  readonly #labelsOf: (item: Item) => LabelsIn;
  readonly #filed = new Map<string, Set<Item>>();

  constructor(labelsOf: (item: Item) => LabelsIn) {
    this.#labelsOf = labelsOf;
  }

  put(item: Item, instead?: Item): void {
    if (instead !== undefined) this.remove(instead);
    for (const under of placesOf(this.#labelsOf(item))) file(this.#filed, under, item);
  }

  remove(item: Item): void {
    for (const under of placesOf(this.#labelsOf(item))) unfile(this.#filed, under, item);
  }

  /** In the order in which they came. */
  selected(selector: LabelsIn): readonly Item[] {
    return [...(this.#filed.get(placeOf(selector)) ?? [])].filter((item) => matchesLabels(selector.labels, this.#labelsOf(item).labels));
  }
}

/** What selects by labels, found by what it selects in the same way: each is filed under one label. What has no selector selects nothing. */
export class SelectorIndex<Item> {
  readonly #selectorOf: (item: Item) => LabelsIn | undefined;
  readonly #filed = new Map<string, Set<Item>>();
  readonly #order = new Map<Item, number>();
  #next = 0;

  constructor(selectorOf: (item: Item) => LabelsIn | undefined) {
    this.#selectorOf = selectorOf;
  }

  /** `instead`: the version of it that is there, whose place in the order it takes. */
  put(item: Item, instead?: Item): void {
    const order = (instead === undefined ? undefined : this.#order.get(instead)) ?? this.#next++;
    if (instead !== undefined) this.remove(instead);
    const selector = this.#selectorOf(item);
    if (selector === undefined) return;
    file(this.#filed, placeOf(selector), item);
    this.#order.set(item, order);
  }

  remove(item: Item): void {
    const selector = this.#selectorOf(item);
    if (selector !== undefined) unfile(this.#filed, placeOf(selector), item);
    this.#order.delete(item);
  }

  /** In the order in which they came. */
  selecting(selected: LabelsIn): readonly Item[] {
    const found: Item[] = [];
    for (const under of placesOf(selected)) {
      for (const item of this.#filed.get(under) ?? []) if (matchesLabels(this.#selectorOf(item)?.labels, selected.labels)) found.push(item);
    }
    return found.sort((one, other) => this.#order.get(one)! - this.#order.get(other)!);
  }
}

/** Of a selector without labels. */
const ANY = '';

function placeOf({ namespace, labels }: LabelsIn): string {
  const [first] = Object.entries(labels);
  return `${namespace}/${first === undefined ? ANY : labelText(first)}`;
}

function placesOf({ namespace, labels }: LabelsIn): readonly string[] {
  return [ANY, ...Object.entries(labels).map(labelText)].map((label) => `${namespace}/${label}`);
}

function labelText([key, value]: readonly [string, string]): string {
  return `${key}=${value}`;
}

function file<Item>(filed: Map<string, Set<Item>>, under: string, item: Item): void {
  const items = filed.get(under);
  if (items === undefined) filed.set(under, new Set([item]));
  else items.add(item);
}

function unfile<Item>(filed: Map<string, Set<Item>>, under: string, item: Item): void {
  const items = filed.get(under);
  items?.delete(item);
  if (items?.size === 0) filed.delete(under);
}
