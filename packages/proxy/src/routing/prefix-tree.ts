import type { Steps } from '@outrigger/xds/slices';

/** A node of a radix tree over prefixes. `routes` holds the values of the prefix that ends here, ascending. */
export class PrefixNode {
  label: string;
  readonly children = new Map<number, PrefixNode>();
  routes: number[] = [];
  /** The nearest shorter prefix that has values. */
  outer: PrefixNode | null = null;

  constructor(label: string) {
    this.label = label;
  }
}

/**
 * All prefixes of a text in time that follows the text, not the number of prefixes. `longest` gives the longest stored
 * prefix; the others are its `outer` chain. Bench: bench/routing/route-table.mjs.
 */
export class PrefixTree {
  readonly #root = new PrefixNode('');
  #size = 0;

  get empty(): boolean {
    return this.#size === 0;
  }

  /** Values of one prefix must come in ascending order. */
  add(prefix: string, value: number): void {
    this.#size++;
    let node = this.#root;
    let at = 0;
    while (at < prefix.length) {
      const child = node.children.get(prefix.charCodeAt(at));
      if (child === undefined) {
        const leaf = new PrefixNode(prefix.slice(at));
        node.children.set(prefix.charCodeAt(at), leaf);
        node = leaf;
        at = prefix.length;
        break;
      }
      const shared = sharedLength(child.label, prefix, at);
      if (shared < child.label.length) {
        const upper = new PrefixNode(child.label.slice(0, shared));
        child.label = child.label.slice(shared);
        upper.children.set(child.label.charCodeAt(0), child);
        node.children.set(upper.label.charCodeAt(0), upper);
        node = upper;
      } else node = child;
      at += shared;
    }
    node.routes.push(value);
  }

  /** Sets the `outer` chains; called once, after the last `add`. */
  *seal(): Steps<void> {
    const pending: { node: PrefixNode; outer: PrefixNode | null }[] = [{ node: this.#root, outer: null }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { node, outer } = next;
      node.outer = outer;
      const inner = node.routes.length > 0 ? node : outer;
      yield;
      for (const child of node.children.values()) pending.push({ node: child, outer: inner });
    }
  }

  longest(text: string): PrefixNode | null {
    let node = this.#root;
    let found = node.routes.length > 0 ? node : null;
    let at = 0;
    while (at < text.length) {
      const child = node.children.get(text.charCodeAt(at));
      if (child === undefined || !text.startsWith(child.label, at)) break;
      at += child.label.length;
      node = child;
      if (node.routes.length > 0) found = node;
    }
    return found;
  }
}

function sharedLength(label: string, text: string, at: number): number {
  let length = 0;
  while (length < label.length && at + length < text.length && label.charCodeAt(length) === text.charCodeAt(at + length)) length++;
  return length;
}
