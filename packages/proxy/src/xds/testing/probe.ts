import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { typed } from '../../testing/messages.ts';

export interface Outcome {
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  readonly ignored: readonly string[];
}

type Compiled = { readonly ok: true; readonly ignored: readonly string[] } | { readonly ok: false; readonly errors: Outcome['errors'] };

export const outcome = (compiled: Compiled): Outcome => (compiled.ok ? { errors: [], ignored: compiled.ignored } : { errors: compiled.errors, ignored: [] });

/** A message that this proxy reads, within one that is right as a whole. */
export interface Subject {
  readonly schema: DescMessage;
  /** Its fields in the right message. */
  readonly base: JsonObject;
  /** Right values of fields that a sample cannot guess: extensions, and what names something. */
  readonly right?: JsonObject;
  /** Where it is, as errors name it. */
  readonly path: string;
  readonly compile: (json: JsonObject) => Outcome;
}

/** What JSON has for values that are not the default: of an enum all, else one. */
function samplesOf(field: DescField): readonly JsonValue[] {
  if (field.enum !== undefined && field.fieldKind === 'enum') return field.enum.values.slice(1).map(({ number }) => number);
  return [sampleOf(field)];
}

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

export type Fate = 'effect' | 'named' | 'refused';

/**
 * Every field by what becomes of it: `effect`, `named` in the admin interface, or `refused`. A field that takes several kinds of value
 * has the best fate of them: what it does not take of these is refused with its own words.
 */
export function probe({ schema, base, right = {}, path, compile }: Subject): Readonly<Record<Fate, readonly string[]>> {
  const found: Record<Fate, string[]> = { effect: [], named: [], refused: [] };
  for (const field of schema.fields) {
    const at = path === '' ? field.name : `${path}.${field.name}`;
    const under = (text: string): boolean => text === at || text.startsWith(`${at}.`) || text.startsWith(`${at}[`);
    const samples = field.jsonName in right ? [right[field.jsonName]!] : samplesOf(field);
    const fates = samples.map((sample): Fate => {
      const json = { ...base };
      for (const other of field.oneof?.fields ?? []) delete json[other.jsonName];
      json[field.jsonName] = sample;
      const { errors, ignored } = compile(json);
      if (field.jsonName in right && errors.length > 0) throw new Error(`the right ${at} is refused: ${JSON.stringify(errors)}`);
      if (errors.some((error) => under(error.path) && /support/.test(error.message))) return 'refused';
      return ignored.some(under) ? 'named' : 'effect';
    });
    // The right message has it.
    if (field.jsonName in base) fates.push('effect');
    const fate = (['effect', 'named'] as const).find((one) => fates.includes(one)) ?? 'refused';
    found[fate].push(field.name);
  }
  return found;
}
