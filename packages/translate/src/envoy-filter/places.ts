import { clone, type DescMessage, type Message, type MessageShape } from '@bufbuild/protobuf';
import type { Reader } from '../reader.ts';
import { mergeInto } from './merge.ts';
import { attempt, decodedValue, type Patch } from './patches.ts';

const OWN = Symbol('messages that patches have made');

/** MERGE into one message: as it was, and noted, where the patch does not fit. */
export function merged<Desc extends DescMessage>(reader: Reader, patch: Patch, schema: Desc, target: MessageShape<Desc>): MessageShape<Desc> {
  let result = target;
  attempt(reader, patch, (types) => {
    const value = decodedValue(patch, schema, types);
    const own = reader.once(OWN, () => new WeakSet<object>());
    const next = own.has(target) ? target : clone(schema, target);
    own.add(next);
    mergeInto(schema, next, value, types);
    result = next;
  });
  return result;
}

export interface Entries<Desc extends DescMessage> {
  readonly schema: Desc;
  /** Which entry the patch is put at; undefined: it names none. */
  readonly at: ((entry: MessageShape<Desc>) => boolean) | undefined;
  /** Where ADD puts it; at the end unless said. */
  readonly addedAt?: (entries: readonly MessageShape<Desc>[]) => number;
}

/** What puts an entry into a list or takes one out: ADD, INSERT_..., REPLACE, REMOVE. */
export function placed<Desc extends DescMessage>(
  reader: Reader,
  patch: Patch,
  entries: readonly MessageShape<Desc>[],
  { schema, at, addedAt }: Entries<Desc>,
): MessageShape<Desc>[] {
  const { operation } = patch;
  const index = at === undefined ? -1 : entries.findIndex(at);
  let result = [...entries];
  if (at !== undefined && index < 0 && operation !== 'ADD') return result;
  if (operation === 'MERGE' || ((operation === 'REMOVE' || operation === 'REPLACE') && at === undefined)) return result;
  attempt(reader, patch, (types) => {
    if (operation === 'REMOVE') {
      result = entries.filter((entry) => !at!(entry));
      return;
    }
    const value = decodedValue(patch, schema, types);
    if (operation === 'REPLACE') result = result.with(index, value);
    else result.splice(positionOf(operation, index, addedAt?.(entries) ?? entries.length, entries.length), 0, value);
  });
  return result;
}

function positionOf(operation: Patch['operation'], index: number, added: number, length: number): number {
  if (operation === 'ADD') return added;
  if (operation === 'INSERT_FIRST') return 0;
  if (operation === 'INSERT_AFTER') return index < 0 ? length : index + 1;
  return Math.max(0, index);
}

/** The message with other fields; what is not named stays the same object, by which places are known. */
export function withFields<Shape extends Message>(message: Shape, fields: Partial<Shape>): Shape {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object), message, fields) as Shape;
}
