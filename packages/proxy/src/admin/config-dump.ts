import { create, type JsonValue, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import { type LastGoodCache, loadTypeRegistry, TypeUrl } from '@outrigger/xds';

/** Fields that Envoy calls sensitive, in proto3 JSON. */
const SENSITIVE: ReadonlySet<string> = new Set(['privateKey', 'privateKeyProvider', 'pkcs12', 'password', 'sessionTicketKeys', 'hmacSecret', 'tokenSecret']);
const REDACTED = '[redacted]';

/** Without what nobody may see: a file's name may be seen, what is in it may not. */
function redact(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, SENSITIVE.has(key) ? redacted(field) : redact(field)]));
}

function redacted(value: JsonValue): JsonValue {
  const isFile = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).every((key) => key === 'filename');
  return isFile ? value : REDACTED;
}

/** What is in effect, as it came over xDS, by type. SDS never passes through the cache; keys inside other resources are left out. */
export async function configDumpJson(cache: LastGoodCache | undefined): Promise<object> {
  if (cache === undefined) return { error: 'this proxy keeps no copy of its configuration: start it with --cache DIR' };
  const registry = await loadTypeRegistry();
  const configs = Object.entries(TypeUrl).map(([kind, typeUrl]) => ({
    kind,
    resources: Array.from(cache.entries(typeUrl), ({ name, version, value, aliases }) => {
      const message = anyUnpack(create(AnySchema, { typeUrl, value: value as Uint8Array<ArrayBuffer> }), registry);
      const schema = message === undefined ? undefined : registry.getMessage(message.$typeName);
      return {
        name,
        version,
        ...(aliases.length > 0 ? { aliases } : {}),
        resource: schema === undefined ? null : redact(toJson(schema, message!, { registry })),
      };
    }),
  }));
  return { last_contact: cache.lastContactMs === undefined ? null : new Date(cache.lastContactMs).toISOString(), configs };
}
