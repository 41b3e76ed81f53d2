import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema, anyPack } from '@bufbuild/protobuf/wkt';
import type { VersionedResource } from '../source.ts';
import { versionOf } from '../version.ts';

/** "type.googleapis.com/envoy.config.cluster.v3.Cluster" */
export function typeUrlOf(schema: DescMessage): string {
  return `type.googleapis.com/${schema.typeName}`;
}

/** An `Any` of the message, as typed configs and resources carry it. */
export function packAny<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any {
  return anyPack(schema, message);
}

/** The message inside, or undefined where the type is another. Throws where the bytes are not such a message. */
export function unpackAny<Desc extends DescMessage>(schema: Desc, any: Any | undefined): MessageShape<Desc> | undefined {
  if (any === undefined || any.typeUrl.slice(any.typeUrl.lastIndexOf('/') + 1) !== schema.typeName) return undefined;
  return fromBinary(schema, any.value);
}

/** Encodes a message as a resource whose version is the hash of its bytes and aliases. */
export function packResource<Desc extends DescMessage>(
  schema: Desc,
  name: string,
  message: MessageShape<Desc>,
  aliases?: readonly string[],
): VersionedResource {
  const value = toBinary(schema, message);
  const body = create(AnySchema, { typeUrl: typeUrlOf(schema), value: value as Uint8Array<ArrayBuffer> });
  if (aliases === undefined || aliases.length === 0) return { name, version: versionOf(value), body };
  return { name, version: versionOf(value, aliases.join('\n')), body, aliases };
}
