import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { DeltaDiscoveryResponseSchema, ResourceSchema } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';

export interface CachedResource {
  readonly name: string;
  readonly version: string;
  /** The encoded message. */
  readonly value: Uint8Array;
  readonly aliases: readonly string[];
}

const LENGTH_BYTES = 4;

/** One DeltaDiscoveryResponse per type, each after its length: what the wire said, so every version can read it. */
export function encodeResources(types: ReadonlyMap<string, ReadonlyMap<string, CachedResource>>): Buffer {
  const parts: Uint8Array[] = [];
  for (const [typeUrl, resources] of types) {
    if (resources.size === 0) continue;
    const response = create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      resources: Array.from(resources.values(), ({ name, version, value, aliases }) =>
        create(ResourceSchema, { name, version, aliases: [...aliases], resource: create(AnySchema, { typeUrl, value: value as Uint8Array<ArrayBuffer> }) }),
      ),
    });
    const bytes = toBinary(DeltaDiscoveryResponseSchema, response);
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** Throws where the bytes are no such content. */
export function decodeResources(content: Buffer): Map<string, Map<string, CachedResource>> {
  const types = new Map<string, Map<string, CachedResource>>();
  for (let offset = 0; offset < content.length; ) {
    const start = offset + LENGTH_BYTES;
    if (start > content.length) throw new Error('it ends too early');
    const end = start + content.readUInt32BE(offset);
    if (end > content.length) throw new Error('it ends too early');
    const response = fromBinary(DeltaDiscoveryResponseSchema, content.subarray(start, end));
    const resources = new Map<string, CachedResource>();
    for (const { name, version, aliases, resource } of response.resources) {
      if (resource !== undefined) resources.set(name, { name, version, aliases, value: resource.value.slice() });
    }
    types.set(response.typeUrl, resources);
    offset = end;
  }
  return types;
}
