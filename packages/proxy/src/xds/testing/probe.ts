import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { typed } from '../../testing/messages.ts';

export interface Outcome {
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly ignored: readonly string[];
}

/** A message that this proxy reads, within one that is right as a whole. */
export interface Subject {
  readonly schema: DescMessage;
  /** Its fields in the right message. */
  readonly base: JsonObject;
  /** Where it is, as errors name it. */
  readonly path: string;
  readonly compile: (json: JsonObject) => Outcome;
}

/** What JSON has for a value that is not the default. */
function sampleOf(field: DescField): JsonValue {
  const one = ((): JsonValue => {
    if (field.enum !== undefined) return field.enum.values.at(-1)!.number;
    const type = field.message?.typeName;
    switch (type) {
      case undefined:
        break;
      case 'google.protobuf.Duration':
        return '7s';
      case 'google.protobuf.BoolValue':
        return true;
      case 'google.protobuf.Any':
        return typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer');
      case 'google.protobuf.StringValue':
        return 'x';
      default:
        return /^google\.protobuf\.(U?Int\d+|Double|Float)Value$/.test(type) ? 7 : {};
    }
    // ScalarType: bool, string, bytes.
    if (field.scalar === 8) return true;
    if (field.scalar === 9) return 'x';
    return field.scalar === 12 ? 'eA==' : 7;
  })();
  if (field.fieldKind === 'list') return [one];
  return field.fieldKind === 'map' ? { x: one } : one;
}

/** Every field by what becomes of it: `effect`, `named` in the admin interface, or `refused`. */
export function probe({ schema, base, path, compile }: Subject): Record<'effect' | 'named' | 'refused', string> {
  const found: Record<'effect' | 'named' | 'refused', string[]> = { effect: [], named: [], refused: [] };
  for (const field of schema.fields) {
    const json = { ...base };
    for (const other of field.oneof?.fields ?? []) delete json[other.jsonName];
    json[field.jsonName] = sampleOf(field);
    const at = path === '' ? field.name : `${path}.${field.name}`;
    const { errors, ignored } = compile(json);
    const under = (text: string): boolean => text === at || text.startsWith(`${at}.`) || text.startsWith(`${at}[`);
    if (errors.some((error) => under(error.path) && /support/.test(error.message))) found.refused.push(field.name);
    else if (ignored.some(under)) found.named.push(field.name);
    else found.effect.push(field.name);
  }
  return { effect: found.effect.join(' '), named: found.named.join(' '), refused: found.refused.join(' ') };
}
