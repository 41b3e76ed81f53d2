import { create, type DescMessage, type JsonObject, type JsonValue, type Message, type Registry, toJson } from '@bufbuild/protobuf';
import { AnySchema, anyUnpack } from '@bufbuild/protobuf/wkt';
import { loadTypeRegistry, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RE2JS } from 're2js';
import type { BootstrapConfig } from '../bootstrap/bootstrap-config.ts';
import type { AdminAnswer } from './pages.ts';
import type { SecretDump } from './secrets-dump.ts';

/** Fields that Envoy calls sensitive, by their names in the .proto. */
const SENSITIVE: ReadonlySet<string> = new Set([
  'private_key',
  'private_key_provider',
  'pkcs12',
  'password',
  'session_ticket_keys',
  'hmac_secret',
  'token_secret',
]);
export const REDACTED = '[redacted]';
const ADMIN = 'type.googleapis.com/envoy.admin.v3';

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

/** A list in a dump, as `?resource=` names it: the type of its elements, and where in one the resource is. */
interface DumpedList {
  readonly dump: string;
  readonly field: string;
  readonly element: string;
  readonly typeUrl: string;
  /** Under `active_state` (listeners) or in the element itself. */
  wrap(version: string, resource: JsonObject): JsonObject;
}

const LISTS: readonly DumpedList[] = [
  {
    dump: 'ClustersConfigDump',
    field: 'dynamic_active_clusters',
    element: 'ClustersConfigDump.DynamicCluster',
    typeUrl: TypeUrl.cluster,
    wrap: (version_info, cluster) => ({ version_info, cluster }),
  },
  {
    dump: 'EndpointsConfigDump',
    field: 'dynamic_endpoint_configs',
    element: 'EndpointsConfigDump.DynamicEndpointConfig',
    typeUrl: TypeUrl.endpoint,
    wrap: (version_info, endpoint_config) => ({ version_info, endpoint_config }),
  },
  {
    dump: 'ListenersConfigDump',
    field: 'dynamic_listeners',
    element: 'ListenersConfigDump.DynamicListener',
    typeUrl: TypeUrl.listener,
    wrap: (version_info, listener) => ({ name: listener['name'] ?? '', active_state: { version_info, listener } }),
  },
  {
    dump: 'RoutesConfigDump',
    field: 'dynamic_route_configs',
    element: 'RoutesConfigDump.DynamicRouteConfig',
    typeUrl: TypeUrl.route,
    wrap: (version_info, route_config) => ({ version_info, route_config }),
  },
];

/** What came over xDS, encoded. */
export interface KnownResources {
  entries(typeUrl: string): Iterable<{ readonly name: string; readonly version: string; readonly value: Uint8Array }>;
}

/** What is in effect: the bootstrap, what came over xDS, and the secrets, all without keys. */
export async function configDump(
  bootstrap: BootstrapConfig,
  known: KnownResources | undefined,
  secrets: readonly SecretDump[],
  query: URLSearchParams,
): Promise<AdminAnswer> {
  const registry = (await loadTypeRegistry()) as Registry;
  const render = (schema: DescMessage, message: Message): JsonObject =>
    withType(schema, redact(toJson(schema, message, { registry, useProtoFieldName: true })) as JsonObject);
  const name = query.get('name_regex') ?? '';
  let matches = (_name: string): boolean => true;
  if (name !== '') {
    try {
      const regex = RE2JS.compile(name);
      matches = (text) => regex.testExact(text);
    } catch (error) {
      return { status: 400, text: `Invalid re2 regex: ${(error as Error).message}\n` };
    }
  }
  const dynamic = (list: DumpedList): JsonObject[] =>
    Array.from(known?.entries(list.typeUrl) ?? []).flatMap((entry) => {
      const message = anyUnpack(create(AnySchema, { typeUrl: list.typeUrl, value: entry.value as Uint8Array<ArrayBuffer> }), registry);
      const schema = message === undefined ? undefined : registry.getMessage(message.$typeName);
      return schema === undefined || !matches(entry.name) ? [] : [list.wrap(entry.version, render(schema, message!))];
    });
  const statics = {
    static_clusters: bootstrap.clusters.filter((cluster) => matches(cluster.name)).map((cluster) => ({ cluster: render(ClusterSchema, cluster) })),
    static_listeners: bootstrap.listeners.filter((listener) => matches(listener.name)).map((listener) => ({ listener: render(ListenerSchema, listener) })),
  };
  const named = secrets.filter(({ name }) => matches(name)) as unknown as JsonObject[];
  const mask = (query.get('mask') ?? '').split(',').filter((path) => path !== '');
  const resource = query.get('resource') ?? '';
  if (resource !== '') {
    const elements = elementsOf(resource, dynamic, statics, named);
    if (elements === undefined) return { status: 404, text: `${resource} not found in config dump` };
    return { json: { configs: elements.map(({ '@type': type, ...element }) => ({ '@type': type!, ...masked(element, mask) })) } };
  }
  const withEndpoints = query.has('include_eds');
  const configs = [
    dump('BootstrapConfigDump', { bootstrap: bootstrapJson(bootstrap, render) }),
    ...LISTS.filter(({ field }) => withEndpoints || field !== 'dynamic_endpoint_configs').map((list) => {
      const elements = dynamic(list);
      const fixed =
        list.field === 'dynamic_active_clusters'
          ? { static_clusters: statics.static_clusters }
          : list.field === 'dynamic_listeners'
            ? { static_listeners: statics.static_listeners }
            : {};
      return dump(list.dump, { ...notEmpty(fixed), ...notEmpty({ [list.field]: elements }) });
    }),
    dump('SecretsConfigDump', notEmpty({ dynamic_active_secrets: named })),
  ];
  return { json: { configs: configs.map(({ '@type': type, ...config }) => ({ '@type': type!, ...masked(config, mask) })) } };
}

function elementsOf(
  resource: string,
  dynamic: (list: DumpedList) => JsonObject[],
  statics: Readonly<Record<'static_clusters' | 'static_listeners', JsonObject[]>>,
  secrets: readonly JsonObject[],
): JsonObject[] | undefined {
  const list = LISTS.find(({ field }) => field === resource);
  if (list !== undefined) return dynamic(list).map((element) => dump(list.element, element));
  if (resource === 'dynamic_active_secrets') return secrets.map((element) => dump('SecretsConfigDump.DynamicSecret', element));
  if (resource === 'static_clusters') return statics.static_clusters.map((element) => dump('ClustersConfigDump.StaticCluster', element));
  if (resource === 'static_listeners') return statics.static_listeners.map((element) => dump('ListenersConfigDump.StaticListener', element));
  return undefined;
}

function dump(type: string, fields: JsonObject): JsonObject {
  return { '@type': `${ADMIN}.${type}`, ...fields };
}

function withType(schema: DescMessage, json: JsonObject): JsonObject {
  return { '@type': `type.googleapis.com/${schema.typeName}`, ...json };
}

function notEmpty(lists: Readonly<Record<string, JsonObject[]>>): JsonObject {
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));
}

/** As far as this proxy goes by it. */
function bootstrapJson(bootstrap: BootstrapConfig, render: (schema: DescMessage, message: Message) => JsonObject): JsonObject {
  const bare = ({ '@type': _type, ...fields }: JsonObject): JsonObject => fields;
  return {
    node: bare(render(NodeSchema, bootstrap.node)),
    static_resources: notEmpty({
      clusters: bootstrap.clusters.map((cluster) => bare(render(ClusterSchema, cluster))),
      listeners: bootstrap.listeners.map((listener) => bare(render(ListenerSchema, listener))),
    }),
  };
}

/** google.protobuf.FieldMask, by the names of the .proto: "active_state.version_info". No path: everything. */
function masked(value: JsonObject, paths: readonly string[]): JsonObject {
  if (paths.length === 0) return value;
  const kept: JsonObject = {};
  for (const path of paths) {
    const [first = '', ...rest] = path.split('.');
    const field = value[first];
    if (field === undefined) continue;
    if (rest.length === 0) kept[first] = field;
    else if (typeof field === 'object' && field !== null && !Array.isArray(field))
      kept[first] = { ...(kept[first] as JsonObject | undefined), ...masked(field, [rest.join('.')]) };
  }
  return kept;
}
