import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Protocol } from '@outrigger/resources';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';

export type DataPlane = 'outrigger' | 'envoy' | 'grpc';

export interface HostPort {
  /** IP address or host name, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A loopback port that stands for one service port (`--upstream order-service=127.0.0.1:7001`). */
export interface UpstreamPort {
  /** Service as the person named it: short, "svc.ns" or full. */
  readonly service: string;
  /** 0: the service's only one. */
  readonly port: number;
  readonly address: HostPort;
}

/** Stands for every port that no service has. */
export const NO_PORT = 0;

/** One port of the workload that its sidecar takes connections for. */
export interface InboundPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly servicePort: number;
  /** Where the sidecar listens. */
  readonly mesh: HostPort;
  /** Where the application listens. */
  readonly application: HostPort;
}

/** How a gateway listens: at which address, and on another port than its resources say where it may not bind that. */
export interface GatewayBinding {
  /** IP address. */
  readonly address: string;
  /** Port of the machine by port of the resources. */
  readonly portMap: Readonly<Record<number, number>>;
  /** Added to a port that the map does not have. */
  readonly portOffset: number;
}

/** Connections that the kernel turns round into a sidecar, which learns from it where they were going. */
export interface Capture {
  /** Where the workload's own calls arrive. */
  readonly outbound: HostPort;
  /** Where calls to the workload arrive. */
  readonly inbound: HostPort;
  /** The workload's own addresses. */
  readonly addresses: readonly string[];
}

/** A proxy (or proxyless client) as its Node says: what docs/xds.md calls Node.metadata, decoded. */
export interface ProxyNode {
  readonly id: string;
  readonly dataPlane: DataPlane;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly workload: string;
  readonly service: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly instance: string;
  /** "region/zone/subzone"; '' where unknown. */
  readonly locality: string;
  readonly onDemand: boolean;
  readonly httpProxy: HostPort | undefined;
  readonly upstreams: readonly UpstreamPort[];
  readonly inbound: readonly InboundPort[];
  readonly accessLog: string | undefined;
  readonly otlp: HostPort | undefined;
  /** gRPC clients: their bootstrap has the certificate provider "default" and they use xDS credentials. */
  readonly certificates: boolean;
  /** A gateway: no application, listeners as `Gateway` resources say. undefined: a sidecar. */
  readonly gateway: GatewayBinding | undefined;
  /** undefined: applications name the proxy or its ports themselves. */
  readonly capture: Capture | undefined;
}

/** A proxy of ours that stands beside `name`, with nothing that is not said. */
export function bareNode(namespace: string, name: string, more: Partial<ProxyNode> = {}): ProxyNode {
  return {
    id: `${name}.${namespace}`,
    dataPlane: 'outrigger',
    namespace,
    serviceAccount: name,
    workload: name,
    service: name,
    version: '',
    labels: {},
    instance: name,
    locality: '',
    onDemand: true,
    httpProxy: undefined,
    upstreams: [],
    inbound: [],
    accessLog: undefined,
    otlp: undefined,
    certificates: false,
    gateway: undefined,
    capture: undefined,
    ...more,
  };
}

export class NodeError extends Error {
  readonly code = 'BAD_NODE';
}

/** Limits on what a peer may claim about itself. */
const MAX_UPSTREAMS = 256;
const MAX_INBOUND = 256;
const MAX_LABELS = 256;
const MAX_PORT_MAP = 256;
const MAX_ADDRESSES = 16;

/** Decodes a Node. Throws a `NodeError` that names the key. */
export function parseNode(node: Node): ProxyNode {
  const metadata = node.metadata ?? {};
  const text = (key: string, fallback?: string): string => {
    const value = metadata[key];
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value !== 'string' || value === '')
      throw new NodeError(`Node.metadata.${key} of ${node.id || 'a node without id'} must be a text, is ${JSON.stringify(value) ?? 'absent'}`);
    return value;
  };
  const dataPlane = text('DATA_PLANE', 'outrigger');
  if (dataPlane !== 'outrigger' && dataPlane !== 'envoy' && dataPlane !== 'grpc')
    throw new NodeError(`Node.metadata.DATA_PLANE of ${node.id} is "${dataPlane}"; it must be outrigger, envoy or grpc`);
  const labels = labelsOf(metadata['LABELS'], node.id);
  const service = text('SERVICE', node.cluster || undefined);
  const locality = node.locality === undefined ? '' : [node.locality.region, node.locality.zone, node.locality.subZone].join('/').replace(/\/+$/, '');
  return {
    id: node.id,
    dataPlane,
    namespace: text('NAMESPACE'),
    serviceAccount: text('SERVICE_ACCOUNT'),
    workload: text('WORKLOAD', service),
    service,
    version: labels['version'] ?? '',
    labels,
    instance: text('INSTANCE', node.id),
    locality,
    onDemand: metadata['ON_DEMAND'] === true,
    httpProxy: metadata['HTTP_PROXY'] === undefined ? undefined : hostPort(metadata['HTTP_PROXY'], 'HTTP_PROXY', node.id),
    upstreams: list(metadata['UPSTREAMS'], 'UPSTREAMS', node.id, MAX_UPSTREAMS).map((entry, index) => ({
      service: textOf(entry['service'], `UPSTREAMS[${index}].service`, node.id),
      port: entry['port'] === 0 ? 0 : portOf(entry['port'], `UPSTREAMS[${index}].port`, node.id),
      address: hostPort(entry['address'], `UPSTREAMS[${index}].address`, node.id),
    })),
    inbound: list(metadata['INBOUND'], 'INBOUND', node.id, MAX_INBOUND).map((entry, index) => ({
      name: textOf(entry['name'], `INBOUND[${index}].name`, node.id),
      protocol: textOf(entry['protocol'], `INBOUND[${index}].protocol`, node.id).toUpperCase() as Protocol,
      servicePort: portOf(entry['servicePort'], `INBOUND[${index}].servicePort`, node.id),
      mesh: hostPort(entry['mesh'], `INBOUND[${index}].mesh`, node.id),
      application: hostPort(entry['application'], `INBOUND[${index}].application`, node.id),
    })),
    accessLog: metadata['ACCESS_LOG'] === undefined ? undefined : text('ACCESS_LOG'),
    otlp: metadata['OTLP'] === undefined ? undefined : hostPort(metadata['OTLP'], 'OTLP', node.id),
    certificates: metadata['CERTIFICATES'] === true,
    gateway: gatewayOf(metadata, node.id),
    capture: captureOf(metadata['CAPTURE'], node.id),
  };
}

/** Node.metadata that says the same: what an agent writes into a bootstrap. */
export function nodeMetadata(node: ProxyNode): JsonObject {
  return {
    NAMESPACE: node.namespace,
    SERVICE_ACCOUNT: node.serviceAccount,
    WORKLOAD: node.workload,
    SERVICE: node.service,
    LABELS: { ...node.labels },
    INSTANCE: node.instance,
    DATA_PLANE: node.dataPlane,
    ON_DEMAND: node.onDemand,
    ...(node.httpProxy === undefined ? {} : { HTTP_PROXY: hostPortText(node.httpProxy) }),
    UPSTREAMS: node.upstreams.map((upstream) => ({ service: upstream.service, port: upstream.port, address: hostPortText(upstream.address) })),
    INBOUND: node.inbound.map((port) => ({
      name: port.name,
      protocol: port.protocol,
      servicePort: port.servicePort,
      mesh: hostPortText(port.mesh),
      application: hostPortText(port.application),
    })),
    ...(node.accessLog === undefined ? {} : { ACCESS_LOG: node.accessLog }),
    ...(node.otlp === undefined ? {} : { OTLP: hostPortText(node.otlp) }),
    ...(node.certificates ? { CERTIFICATES: true } : {}),
    ...(node.gateway === undefined
      ? {}
      : { ROLE: 'gateway', BIND: node.gateway.address, PORT_MAP: { ...node.gateway.portMap }, PORT_OFFSET: node.gateway.portOffset }),
    ...(node.capture === undefined
      ? {}
      : {
          CAPTURE: {
            outbound: hostPortText(node.capture.outbound),
            inbound: hostPortText(node.capture.inbound),
            addresses: [...node.capture.addresses],
          },
        }),
  };
}

function captureOf(value: JsonValue | undefined, id: string): Capture | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NodeError(`Node.metadata.CAPTURE of ${id} must be an object`);
  const addresses = value['addresses'] ?? [];
  if (!Array.isArray(addresses) || addresses.length > MAX_ADDRESSES)
    throw new NodeError(`Node.metadata.CAPTURE.addresses of ${id} must be a list of at most ${MAX_ADDRESSES}`);
  return {
    outbound: hostPort(value['outbound'], 'CAPTURE.outbound', id),
    inbound: hostPort(value['inbound'], 'CAPTURE.inbound', id),
    addresses: addresses.map((address, index) => textOf(address, `CAPTURE.addresses[${index}]`, id)),
  };
}

function gatewayOf(metadata: JsonObject, id: string): GatewayBinding | undefined {
  if (metadata['ROLE'] !== 'gateway') return undefined;
  const map = metadata['PORT_MAP'] ?? {};
  if (typeof map !== 'object' || map === null || Array.isArray(map) || Object.keys(map).length > MAX_PORT_MAP)
    throw new NodeError(`Node.metadata.PORT_MAP of ${id} must be an object of at most ${MAX_PORT_MAP} ports`);
  const offset = metadata['PORT_OFFSET'] ?? 0;
  if (typeof offset !== 'number' || !Number.isInteger(offset) || offset < 0 || offset > 65_535)
    throw new NodeError(`Node.metadata.PORT_OFFSET of ${id} must be a number from 0 to 65535, is ${JSON.stringify(offset)}`);
  return {
    address: textOf(metadata['BIND'] ?? '0.0.0.0', 'BIND', id),
    portMap: Object.fromEntries(Object.entries(map).map(([port, bound]) => [port, portOf(bound, `PORT_MAP.${port}`, id)])),
    portOffset: offset,
  };
}

/** "127.0.0.1:8080", "[::1]:8080" */
export function hostPortText(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function hostPort(value: JsonValue | undefined, key: string, id: string): HostPort {
  const match = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) : null;
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535)
    throw new NodeError(`Node.metadata.${key} of ${id} must be "host:port", is ${JSON.stringify(value) ?? 'absent'}`);
  return { host: (match[1] ?? match[2])!, port };
}

function portOf(value: JsonValue | undefined, key: string, id: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > 65_535)
    throw new NodeError(`Node.metadata.${key} of ${id} must be a port, is ${JSON.stringify(value) ?? 'absent'}`);
  return value;
}

function textOf(value: JsonValue | undefined, key: string, id: string): string {
  if (typeof value !== 'string' || value === '') throw new NodeError(`Node.metadata.${key} of ${id} must be a text, is ${JSON.stringify(value) ?? 'absent'}`);
  return value;
}

function list(value: JsonValue | undefined, key: string, id: string, most: number): JsonObject[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > most) throw new NodeError(`Node.metadata.${key} of ${id} must be a list of at most ${most}`);
  return value.map((entry, index) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) throw new NodeError(`Node.metadata.${key}[${index}] of ${id} must be an object`);
    return entry;
  });
}

function labelsOf(value: JsonValue | undefined, id: string): Record<string, string> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NodeError(`Node.metadata.LABELS of ${id} must be an object`);
  const entries = Object.entries(value);
  if (entries.length > MAX_LABELS) throw new NodeError(`Node.metadata.LABELS of ${id} has more than ${MAX_LABELS} entries`);
  return Object.fromEntries(entries.map(([name, label]) => [name, typeof label === 'string' ? label : JSON.stringify(label)]));
}
