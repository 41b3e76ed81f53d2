import { create, type DescField, type DescMessage, fromBinary, type Message, type MessageShape, mergeFromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Steps } from './slices.ts';

/** Bytes that are decoded in one step: 1 to 2 ms where the code is cold. */
const PIECE_BYTES = 2_048;

/**
 * Decodes a message in steps. Encoded messages of one type that stand one after another are the message that they make
 * together (protobuf, "Last One Wins"), so a long one is taken piece by piece, and what is long in itself the same way.
 */
export function* decodeSteps<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): Steps<MessageShape<Desc>> {
  if (bytes.length <= PIECE_BYTES) return fromBinary(schema, bytes);
  const message = create(schema);
  yield* mergeSteps(schema, message, bytes);
  return message;
}

function* mergeSteps(schema: DescMessage, message: Message, bytes: Uint8Array): Steps<void> {
  const reader = new BinaryReader(bytes);
  let start = 0;
  while (reader.pos < reader.len) {
    const at = reader.pos;
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) reader.skip(wireType, number);
    else {
      const body = reader.bytes();
      const field = body.length > PIECE_BYTES ? schema.fields.find((candidate) => candidate.number === number) : undefined;
      const inner = field === undefined ? undefined : innerMessage(field);
      if (inner !== undefined) {
        if (at > start) mergeFromBinary(schema, message, bytes.subarray(start, at));
        yield;
        yield* mergeSteps(inner, slotOf(message, field!, inner), body);
        start = reader.pos;
        continue;
      }
    }
    if (reader.pos - start < PIECE_BYTES) continue;
    mergeFromBinary(schema, message, bytes.subarray(start, reader.pos));
    start = reader.pos;
    yield;
  }
  if (start < reader.len) mergeFromBinary(schema, message, bytes.subarray(start));
}

/** Of a field whose value is held as the message that it is; undefined: of any other. */
function innerMessage(field: DescField): DescMessage | undefined {
  const plain = (message: DescMessage): DescMessage | undefined => (message.typeName.startsWith('google.protobuf.') ? undefined : message);
  if (field.fieldKind === 'list' && field.listKind === 'message') return plain(field.message);
  if (field.fieldKind === 'message') return plain(field.message);
  return undefined;
}

function slotOf(message: Message, field: DescField, inner: DescMessage): Message {
  const fields = message as unknown as Record<string, unknown>;
  if (field.oneof !== undefined) {
    const chosen = fields[field.oneof.localName] as { readonly case: string | undefined; readonly value?: Message };
    if (chosen.case === field.localName) return chosen.value!;
    const value = create(inner);
    fields[field.oneof.localName] = { case: field.localName, value };
    return value;
  }
  if (field.fieldKind !== 'list') {
    fields[field.localName] ??= create(inner);
    return fields[field.localName] as Message;
  }
  const item = create(inner);
  (fields[field.localName] as Message[]).push(item);
  return item;
}
