import type { Json, JsonObject } from '../json.ts';

/** A copy of a spec with one field ("http[0].route[1].weight") set, or taken out where the value is undefined. */
export function changed<Spec>(spec: Spec, path: string, value: Json | undefined): Spec {
  const keys = [...path.matchAll(/\[([^\]]*)\]|([^.[]+)/g)].map(([, index, name]) => index ?? (name as string));
  const last = keys.pop() as string;
  const copy = structuredClone(spec) as unknown as Record<string, unknown>;
  let at = copy;
  for (const key of keys) {
    at[key] ??= {};
    at = at[key] as Record<string, unknown>;
  }
  if (value !== undefined) at[last] = value as JsonObject;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
  return copy as unknown as Spec;
}
