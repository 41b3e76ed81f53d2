import { type DescMessage, isFieldSet, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { decodeSteps } from '@outrigger/xds/slices/decode';
import type { CompileReport } from '../routing/compile-result.ts';

/** What a compiler does with each field of a message (names as in the .proto). A field in neither list is refused. */
export interface FieldPolicy {
  readonly handled: ReadonlySet<string>;
  /** Accepted, without effect, named in the admin interface. */
  readonly tuning: ReadonlySet<string>;
}

export function fieldPolicy(handled: string, tuning = ''): FieldPolicy {
  const words = (text: string) => new Set(text.split(/\s+/).filter((word) => word !== ''));
  return { handled: words(handled), tuning: words(tuning) };
}

/**
 * Refuses what is set and not known, so that a field that bears on matching, routing or security is never ignored in
 * silence, also one that a later version of the protos brings.
 */
export function checkFields<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  policy: FieldPolicy,
  path: string,
  report: CompileReport,
): void {
  for (const field of schema.fields) {
    if (policy.handled.has(field.name) || !isFieldSet(message, field)) continue;
    const at = path === '' ? field.name : `${path}.${field.name}`;
    if (policy.tuning.has(field.name)) report.ignore(at);
    else report.error(at, 'not supported by this proxy');
  }
}

/** undefined (and an error in the report) where it is another type or cannot be read. */
export function* unpackSteps<Desc extends DescMessage>(
  any: Any | undefined,
  schema: Desc,
  path: string,
  report: CompileReport,
): Steps<MessageShape<Desc> | undefined> {
  if (any === undefined) {
    report.error(path, `needs a ${schema.typeName}`);
    return undefined;
  }
  try {
    if (typeNameOf(any) === schema.typeName) return yield* decodeSteps(schema, any.value);
    report.error(path, `is a ${typeNameOf(any)}; expected a ${schema.typeName}`);
  } catch (cause) {
    report.error(path, `cannot be decoded as ${schema.typeName}: ${String(cause)}`);
  }
  return undefined;
}

export function unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc, path: string, report: CompileReport): MessageShape<Desc> | undefined {
  return atOnce(unpackSteps(any, schema, path, report));
}

/** "envoy.extensions....TcpProxy", '' where there is none. */
export function typeNameOf(any: Any | undefined): string {
  return any === undefined ? '' : any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1);
}
