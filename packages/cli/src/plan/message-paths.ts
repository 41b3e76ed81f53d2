import { type DescMessage, type Message, type Registry, toJson } from '@bufbuild/protobuf';

/** A leaf of a message that is another: "connectTimeout: 1s -> 5s". */
export interface FieldDifference {
  readonly field: string;
  /** undefined: it is not set. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What differs between two messages of a type, leaf by leaf. */
export function fieldDifferences(schema: DescMessage, before: Message, after: Message, registry: Registry): FieldDifference[] {
  const old = leavesOf(toJson(schema, before, { registry }));
  const now = leavesOf(toJson(schema, after, { registry }));
  return [...new Set([...old.keys(), ...now.keys()])].flatMap((field) => {
    const [from, to] = [old.get(field), now.get(field)];
    return from === to ? [] : [{ field, before: from, after: to }];
  });
}

/** Wrappers of extensions, which tell nobody anything. */
const WRAPPERS: ReadonlySet<string> = new Set(['typedConfig', 'typedExtensionProtocolOptions', '@type', 'typedDnsResolverConfig']);

function leavesOf(value: unknown): Map<string, string> {
  const leaves = new Map<string, string>();
  const walk = (inner: unknown, path: readonly string[]): void => {
    if (Array.isArray(inner)) {
      for (const [index, one] of inner.entries()) walk(one, [...path, nameOf(one) ?? String(index)]);
    } else if (typeof inner === 'object' && inner !== null) {
      for (const [key, one] of Object.entries(inner)) walk(one, WRAPPERS.has(key) ? path : [...path, key]);
    } else leaves.set(path.join('.'), String(inner));
  };
  walk(value, []);
  return leaves;
}

/** Of an entry that has one, so that an entry that comes before it does not make all that follow another. */
function nameOf(value: unknown): string | undefined {
  const name = (value as { readonly name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : undefined;
}
