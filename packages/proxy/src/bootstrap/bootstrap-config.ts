import { createRegistry, fromJson, type JsonObject, type JsonValue, type Registry } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { loadTypeRegistry } from '@outrigger/xds';
import { type Bootstrap, BootstrapSchema } from '@outrigger/xds/protos/envoy/config/bootstrap/v3/bootstrap';
import type { Cluster } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { ApiConfigSource_ApiType, type ConfigSource } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { OverloadManager } from '@outrigger/xds/protos/envoy/config/overload/v3/overload';
import { InternalListenerSchema } from '@outrigger/xds/protos/envoy/extensions/bootstrap/internal_listener/v3/internal_listener';
import { UpstreamTlsContextSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/tls';
import { HttpProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/extensions/upstreams/http/v3/http_protocol_options';
import { DEFAULT_OVERLOAD, type OverloadConfig } from '../overload/overload-config.ts';
import { type CompileError, CompileReport } from '../routing/compile-result.ts';
import { compileAddress } from '../xds/compile-endpoints.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import { unpack } from '../xds/fields.ts';

/** Why a bootstrap cannot be used, with each field that is at fault. */
export class BootstrapError extends Error {
  readonly code: 'syntax' | 'invalid';
  constructor(code: 'syntax' | 'invalid', message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Where ADS is found: a static cluster, and the only identities that it may have where the connection is TLS. */
export interface AdsSource {
  readonly cluster: string;
  readonly spiffeIds: readonly string[];
}

/** Envoy's Bootstrap, as far as this proxy goes by it. */
export interface BootstrapConfig {
  readonly node: Node;
  /** null: no admin interface. */
  readonly admin: EndpointAddress | null;
  /** null: everything is in the bootstrap. */
  readonly ads: AdsSource | null;
  readonly listenersOverAds: boolean;
  /** The wildcard of CDS; false: clusters are asked for by name. */
  readonly clustersOverAds: boolean;
  readonly clusters: readonly Cluster[];
  /** Of the proxies like this one (cluster_manager.local_cluster_name), '' if none: zone-aware balancing goes by it. */
  readonly localCluster: string;
  readonly listeners: readonly Listener[];
  /** Numbers of the static layers of layered_runtime, by their key; of the same key the last layer's. */
  readonly runtime: ReadonlyMap<string, number>;
  /** overload.global_downstream_max_connections of the runtime; undefined: not said. */
  readonly maxConnections: number | undefined;
  /** overload_manager, or what holds without one. */
  readonly overload: OverloadConfig;
  /** What of it is accepted and has no effect. */
  readonly ignored: readonly string[];
}

/** Decodes a bootstrap in JSON (proto3 JSON mapping). `where` names it in errors. */
export async function readBootstrap(text: string, where: string): Promise<BootstrapConfig> {
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new BootstrapError('syntax', `${where} is not JSON: ${(cause as Error).message}`, cause);
  }
  const message = await decode(json, where);
  const report = new CompileReport();
  // Its messages are loaded where there is one alone.
  const { overloadManager } = message;
  const overload = overloadManager === undefined ? DEFAULT_OVERLOAD : await compiledOverload(overloadManager, report);
  const config = compileBootstrap(message, report, overload);
  if (report.errors.length > 0) throw new BootstrapError('invalid', `${where} cannot be used: ${describe(report.errors)}`);
  return config;
}

async function compiledOverload(message: OverloadManager, report: CompileReport): Promise<OverloadConfig> {
  const { compileOverload } = await import('../xds/compile-overload.ts');
  return compileOverload(message, 'overload_manager', report);
}

async function decode(json: JsonValue, where: string): Promise<Bootstrap> {
  // What our own agent writes needs three types; all of them cost a hundred milliseconds to load.
  const few = createRegistry(InternalListenerSchema, UpstreamTlsContextSchema, HttpProtocolOptionsSchema);
  try {
    return fromJson(BootstrapSchema, json, { registry: few });
  } catch {
    try {
      return fromJson(BootstrapSchema, json, { registry: (await loadTypeRegistry()) as Registry });
    } catch (cause) {
      throw new BootstrapError('invalid', `${where} is no Envoy bootstrap: ${(cause as Error).message}`, cause);
    }
  }
}

export function compileBootstrap(message: Bootstrap, report: CompileReport, overload: OverloadConfig = DEFAULT_OVERLOAD): BootstrapConfig {
  const { node, dynamicResources, staticResources } = message;
  if (node === undefined || node.id === '') report.error('node.id', 'must not be empty');
  const clusters = staticResources?.clusters ?? [];
  const overAds = (source: ConfigSource | undefined, path: string): boolean => {
    if (source === undefined) return false;
    if (source.configSourceSpecifier.case !== 'ads') report.error(path, 'only ads is supported by this proxy');
    return true;
  };
  const listenersOverAds = overAds(dynamicResources?.ldsConfig, 'dynamic_resources.lds_config');
  const clustersOverAds = overAds(dynamicResources?.cdsConfig, 'dynamic_resources.cds_config');
  const runtime = runtimeOf(message);
  return {
    node: node!,
    admin: adminAddress(message, report),
    ads: adsSource(message, clusters, report),
    listenersOverAds,
    clustersOverAds,
    clusters,
    localCluster: localCluster(message, report),
    listeners: staticResources?.listeners ?? [],
    runtime,
    maxConnections: overload.maxConnections ?? runtime.get('overload.global_downstream_max_connections'),
    overload,
    ignored: report.ignored,
  };
}

function localCluster({ clusterManager, staticResources }: Bootstrap, report: CompileReport): string {
  const name = clusterManager?.localClusterName ?? '';
  // As Envoy: what comes over ADS might never be there.
  if (name !== '' && staticResources?.clusters.every((cluster) => cluster.name !== name) !== false)
    report.error('cluster_manager.local_cluster_name', `there is no static cluster ${name}`);
  return name;
}

/** Whoever reaches it may read the configuration and end the proxy. */
function adminAddress(message: Bootstrap, report: CompileReport): EndpointAddress | null {
  if (message.admin?.address === undefined) return null;
  const address = compileAddress(message.admin.address, 'admin.address', report) ?? null;
  if (address?.kind === 'socket' && !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(address.host))
    report.error('admin.address.socket_address.address', 'must be a loopback address, or a pipe: whoever reaches it may end this proxy');
  return address;
}

/** Keys may be written as they are, or as structs in structs. */
function runtimeOf(message: Bootstrap): Map<string, number> {
  const values = new Map<string, number>();
  const add = (prefix: string, fields: JsonObject): void => {
    for (const [name, value] of Object.entries(fields)) {
      const key = prefix === '' ? name : `${prefix}.${name}`;
      if (typeof value === 'number') values.set(key, value);
      else if (typeof value === 'object' && value !== null && !Array.isArray(value)) add(key, value);
    }
  };
  for (const { layerSpecifier } of message.layeredRuntime?.layers ?? []) if (layerSpecifier.case === 'staticLayer') add('', layerSpecifier.value);
  return values;
}

function adsSource(message: Bootstrap, clusters: readonly Cluster[], report: CompileReport): AdsSource | null {
  const config = message.dynamicResources?.adsConfig;
  if (config === undefined) return null;
  const path = 'dynamic_resources.ads_config';
  if (config.apiType !== ApiConfigSource_ApiType.DELTA_GRPC) report.error(`${path}.api_type`, 'only DELTA_GRPC is supported by this proxy');
  const target = config.grpcServices[0]?.targetSpecifier;
  if (target?.case !== 'envoyGrpc') {
    report.error(`${path}.grpc_services`, 'needs an envoy_grpc service');
    return null;
  }
  const name = target.value.clusterName;
  const cluster = clusters.find((candidate) => candidate.name === name);
  if (cluster === undefined) {
    report.error(`${path}.grpc_services[0].envoy_grpc.cluster_name`, `there is no static cluster ${name}`);
    return null;
  }
  const socket = cluster.transportSocket?.configType;
  return {
    cluster: name,
    spiffeIds: socket?.case === 'typedConfig' ? spiffeIdsOf(socket.value, `static_resources.clusters[${name}].transport_socket`, report) : [],
  };
}

function spiffeIdsOf(any: Any, path: string, report: CompileReport): string[] {
  const tls = unpack(any, UpstreamTlsContextSchema, path, report);
  const validation = tls?.commonTlsContext?.validationContextType;
  const context =
    validation?.case === 'combinedValidationContext'
      ? validation.value.defaultValidationContext
      : validation?.case === 'validationContext'
        ? validation.value
        : undefined;
  const ids: string[] = [];
  for (const { matcher } of context?.matchTypedSubjectAltNames ?? []) if (matcher?.matchPattern.case === 'exact') ids.push(matcher.matchPattern.value);
  if (ids.length === 0) report.error(path, 'must name the identity of the control plane (match_typed_subject_alt_names, URI, exact)');
  return ids;
}

function describe(errors: readonly CompileError[]): string {
  return errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
}
