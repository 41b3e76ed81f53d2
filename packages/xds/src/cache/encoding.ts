import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { DeltaDiscoveryResponseSchema, ResourceSchema } from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import type { Steps } from '../slices/slices.ts';

export interface CachedResource {
  readonly name: string;
  readonly version: string;
  /** The encoded message. */
  readonly value: Uint8Array;
  readonly aliases: readonly string[];
}

const LENGTH_BYTES = 4;

/**
 * One DeltaDiscoveryResponse per type, each after its length: what the wire said, so every version can read it. In parts that stand one after another:
 * messages in a row are the message that they make together.
 */
export function* encodeSteps(types: ReadonlyMap<string, Iterable<CachedResource>>): Steps<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (const [typeUrl, resources] of types) {
    const length = Buffer.alloc(LENGTH_BYTES);
    const bodies: Uint8Array[] = [];
    let bytes = 0;
    for (const { name, version, value, aliases } of resources) {
      const resource = create(ResourceSchema, {
        name,
        version,
        aliases: [...aliases],
        resource: create(AnySchema, { typeUrl, value: value as Uint8Array<ArrayBuffer> }),
      });
      const body = toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, { resources: [resource] }));
      bodies.push(body);
      bytes += body.length;
      yield;
    }
    if (bodies.length === 0) continue;
    const head = toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, { typeUrl }));
    length.writeUInt32BE(head.length + bytes);
    parts.push(length, head);
    for (const body of bodies) parts.push(body);
  }
  return parts;
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
