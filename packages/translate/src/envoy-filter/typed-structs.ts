import type { JsonObject, JsonValue, Registry } from '@bufbuild/protobuf';

const TYPED_STRUCT = 'type.googleapis.com/xds.type.v3.TypedStruct';

/** The first type in a patch that is not known here, which our proxy then has not either. */
export function unknownType(value: JsonValue, types: Registry): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const typeUrl = Array.isArray(value) ? undefined : value['@type'];
  if (typeof typeUrl === 'string') {
    const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    if (types.getMessage(name) === undefined) return name;
  }
  for (const field of Object.values(value)) {
    const found = unknownType(field, types);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A config of a type that is not known here goes on as a struct that names it: an Envoy that has the type reads it as such. */
export function withTypedStructs(value: JsonValue, types: Registry): JsonValue {
  if (Array.isArray(value)) return value.map((item) => withTypedStructs(item, types));
  if (typeof value !== 'object' || value === null) return value;
  const { '@type': typeUrl, ...rest } = value;
  if (typeof typeUrl === 'string' && types.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1)) === undefined)
    return { '@type': TYPED_STRUCT, typeUrl, value: rest };
  const fields = Object.entries(value).map(([name, field]) => [name, withTypedStructs(field, types)] as const);
  return Object.fromEntries(fields) satisfies JsonObject;
}
