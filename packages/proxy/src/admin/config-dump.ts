import { create, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import { type LastGoodCache, loadTypeRegistry, TypeUrl } from '@outrigger/xds';

/** What is in effect, as it came over xDS, by type. Secrets are not in it: SDS never passes through the cache. */
export async function configDumpJson(cache: LastGoodCache | undefined): Promise<object> {
  if (cache === undefined) return { error: 'this proxy keeps no copy of its configuration: start it with --cache DIR' };
  const registry = await loadTypeRegistry();
  const configs = Object.entries(TypeUrl).map(([kind, typeUrl]) => ({
    kind,
    resources: Array.from(cache.entries(typeUrl), ({ name, version, value, aliases }) => {
      const message = anyUnpack(create(AnySchema, { typeUrl, value: value as Uint8Array<ArrayBuffer> }), registry);
      const schema = message === undefined ? undefined : registry.getMessage(message.$typeName);
      return { name, version, ...(aliases.length > 0 ? { aliases } : {}), resource: schema === undefined ? null : toJson(schema, message!, { registry }) };
    }),
  }));
  return { last_contact: cache.lastContactMs === undefined ? null : new Date(cache.lastContactMs).toISOString(), configs };
}
