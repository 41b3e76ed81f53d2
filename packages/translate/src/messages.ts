import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

/** A message as it is written down for `create`: plain fields, with oneofs as {case, value}. */
export type Init<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, { readonly $typeName: string }>;

/** A message packed for a typed_config. */
export function any<Desc extends DescMessage>(schema: Desc, init?: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/** name + typed_config, as filters, transport sockets and TypedExtensionConfig have it. */
export function extension<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  init?: MessageInitShape<Desc>,
): { readonly name: string; readonly typedConfig: Any } {
  return { name, typedConfig: any(schema, init) };
}

/** The same where the field is a oneof (filters, transport sockets). */
export function filter<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  init?: MessageInitShape<Desc>,
): { readonly name: string; readonly configType: { readonly case: 'typedConfig'; readonly value: Any } } {
  return { name, configType: { case: 'typedConfig', value: any(schema, init) } };
}

export function milliseconds(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) });
}
