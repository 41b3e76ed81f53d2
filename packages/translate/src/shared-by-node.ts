import type { ProxyNode } from './node.ts';
import type { NodeField } from './traced-node.ts';

interface Group<Value> {
  readonly fields: readonly NodeField[];
  readonly byText: Map<string, Value>;
}

/** What was made for one node, found again for every other that is the same in all that was read of the first. */
export class SharedByNode<Value> {
  readonly #groups = new Map<string, Group<Value>>();

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  get(node: ProxyNode): Value | undefined {
    for (const { fields, byText } of this.#groups.values()) {
      const value = byText.get(fieldsText(node, fields));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  set(node: ProxyNode, reads: ReadonlySet<NodeField>, value: Value): void {
    const fields = [...reads].sort();
    const name = fields.join();
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { fields, byText: new Map() };
      this.#groups.set(name, group);
    }
    group.byText.set(fieldsText(node, fields), value);
  }

  delete(node: ProxyNode, reads: ReadonlySet<NodeField>): void {
    const name = [...reads].sort().join();
    const group = this.#groups.get(name);
    if (group === undefined) return;
    group.byText.delete(fieldsText(node, group.fields));
    if (group.byText.size === 0) this.#groups.delete(name);
  }
}

/** Whether two nodes are the same in these fields. */
export function isSameIn(reads: ReadonlySet<NodeField>, one: ProxyNode, other: ProxyNode): boolean {
  const fields = [...reads];
  return fieldsText(one, fields) === fieldsText(other, fields);
}

function fieldsText(node: ProxyNode, fields: readonly NodeField[]): string {
  return JSON.stringify(fields.map((field) => node[field] ?? null));
}
