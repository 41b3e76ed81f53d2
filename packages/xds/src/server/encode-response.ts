import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { TypeUrl, type VersionedResource } from '../source.ts';
import type { TypedPush } from './stream.ts';

/*
 * Responses by their field numbers, with resources as the bytes that they are: each goes to as many clients as use the resource, and the library's way is by
 * messages in memory that are read by reflection.
 */

/** Of longer responses the room is not kept. */
const KEPT_BYTES = 256 * 1024;
/** Empty again after each response. One that grows anew with each leaves twice of it as garbage outside V8's heap. */
let writer = new BinaryWriter();

function finished(): Uint8Array {
  const response = writer.finish();
  if (response.length > KEPT_BYTES) writer = new BinaryWriter();
  return response;
}

/** envoy.service.discovery.v3.DeltaDiscoveryResponse */
export function encodeDeltaResponse({ typeUrl, push, version }: TypedPush): Uint8Array {
  writeText(1, version);
  for (const resource of push.resources) writeResource(resource);
  // VHDS: a host that is not there is said by a resource without a body, so that the waiting request finds its answer.
  const absentAsResources = typeUrl === TypeUrl.virtualHost;
  if (absentAsResources) for (const name of push.absent) writeResource({ name, version: '', body: undefined, aliases: [name] });
  writeText(4, typeUrl);
  writeText(5, push.nonce);
  for (const name of push.removed) writeText(6, name);
  if (!absentAsResources) for (const name of push.absent) writeText(6, name);
  return finished();
}

/** envoy.service.discovery.v3.DiscoveryResponse */
export function encodeSotwResponse({ typeUrl, push, version }: TypedPush): Uint8Array {
  writeText(1, version);
  for (const { body } of push.resources) writeAny(2, body);
  writeText(4, typeUrl);
  writeText(5, push.nonce);
  return finished();
}

/** envoy.service.discovery.v3.Resource */
function writeResource({ name, version, body, aliases }: Omit<VersionedResource, 'body'> & { readonly body: VersionedResource['body'] | undefined }): void {
  writer.tag(2, WireType.LengthDelimited).fork();
  if (version !== '') writeText(1, version);
  if (body !== undefined) writeAny(2, body);
  writeText(3, name);
  for (const alias of aliases ?? []) writeText(4, alias);
  writer.join();
}

/** google.protobuf.Any */
function writeAny(field: number, { typeUrl, value }: VersionedResource['body']): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  writeText(1, typeUrl);
  writer.tag(2, WireType.LengthDelimited).bytes(value);
  writer.join();
}

function writeText(field: number, text: string): void {
  writer.tag(field, WireType.LengthDelimited).string(text);
}
