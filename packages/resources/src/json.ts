/** A value as JSON has it, the only shape in which resources travel. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field of untyped JSON; undefined where the path leads nowhere. */
export function field(value: Json | undefined, ...path: readonly (string | number)[]): Json | undefined {
  let current: Json | undefined = value;
  for (const key of path) {
    if (isJsonObject(current) && Object.hasOwn(current, key)) current = current[key];
    else if (Array.isArray(current) && typeof key === 'number') current = current[key] as Json | undefined;
    else return undefined;
  }
  return current;
}

export function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** A field of strings by name; what is no string is left out. */
export function stringMap(value: Json | undefined, ...path: readonly (string | number)[]): Readonly<Record<string, string>> {
  const map = field(value, ...path);
  return isJsonObject(map) ? Object.fromEntries(Object.entries(map).filter((entry): entry is [string, string] => typeof entry[1] === 'string')) : {};
}
