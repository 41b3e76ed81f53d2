import { type DescField, type DescMessage, fromBinary, type Message, type MessageShape, type Registry, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';

/** A patch that does not fit what it is for. */
export class PatchError extends Error {}

/**
 * Merges `source` into `target` as protobuf does: what is set there takes the place, lists grow, messages are merged field by field. Durations and
 * wrapped values are values, and two typed configs of one type are merged as what they hold.
 */
export function mergeInto<Desc extends DescMessage>(schema: Desc, target: MessageShape<Desc>, source: MessageShape<Desc>, types: Registry): void {
  mergeFields(reflect(schema, target as never), reflect(schema, source as never), types);
}

function mergeFields(target: ReflectMessage, source: ReflectMessage, types: Registry): void {
  for (const field of source.fields) {
    if (!source.isSet(field)) continue;
    if (field.fieldKind === 'list') for (const item of source.get(field)) target.get(field).add(item);
    else if (field.fieldKind === 'map') for (const [key, value] of source.get(field)) target.get(field).set(key, value as never);
    else if (field.fieldKind === 'message') mergeMessage(target, source, field, types);
    else target.set(field, source.get(field) as never);
  }
}

function mergeMessage(target: ReflectMessage, source: ReflectMessage, field: DescField & { fieldKind: 'message' }, types: Registry): void {
  const from = source.get(field);
  const { typeName } = field.message;
  if (!target.isSet(field)) target.set(field, from);
  else if (typeName === AnySchema.typeName) {
    const present = target.get(field).message as Any;
    target.set(field, reflect(AnySchema, mergedAny(present, from.message as Any, types) ?? (from.message as Any)));
  } else if (typeName.startsWith('google.protobuf.')) target.set(field, from);
  else mergeFields(target.get(field), from, types);
}

/** undefined: they are not of one type that is known here. */
export function mergedAny(target: Any, source: Any, types: Registry): Any | undefined {
  const schema = target.typeUrl === source.typeUrl ? types.getMessage(target.typeUrl.slice(target.typeUrl.lastIndexOf('/') + 1)) : undefined;
  if (schema === undefined) return undefined;
  const merged: Message = fromBinary(schema, target.value);
  mergeInto(schema, merged, fromBinary(schema, source.value), types);
  return { ...target, value: toBinary(schema, merged) as Any['value'] };
}
