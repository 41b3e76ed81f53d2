import { CliError, ExitCode } from '../error.ts';
import type { GatewayOptions } from '../gateway/options.ts';

/** What one instance is, as `rig run` and `rig sidecar` take it. */
export interface WorkloadOptions {
  readonly name: string;
  readonly namespace: string;
  /** '' for none. */
  readonly version: string;
  readonly serviceAccount: string;
  /** Unique in the namespace, the same after a restart. */
  readonly instance: string;
  readonly labels: Readonly<Record<string, string>>;
  /** region/zone/subzone, '' where unknown. */
  readonly locality: string;
  readonly ports: readonly WorkloadPort[];
  readonly upstreams: readonly Upstream[];
  readonly dataPlane: 'outrigger' | 'envoy';
  /** Path that must answer below 400 before and while traffic comes; '': the first port accepts a connection. */
  readonly healthPath: string;
  /** 0: the control plane's default. */
  readonly certificateTtlSeconds: number;
  /** "host:port" of an OTLP/HTTP collector; '': none. */
  readonly otlp: string;
  /** Processes of the proxy, which are one to everybody else. Default: 1. */
  readonly concurrency?: number;
  /** A gateway: its ports are those of its service, served by itself. */
  readonly gateway?: GatewayOptions;
}

export interface WorkloadPort {
  /** "http", "grpc", "http2", "tcp". */
  readonly protocol: PortProtocol;
  /** What callers name. */
  readonly servicePort: number;
  /** Where the application listens on loopback. */
  readonly applicationPort: number;
}

/** A loopback port of the caller's that leads to one service. */
export interface Upstream {
  readonly service: string;
  /** Port of the service; 0: its only one. */
  readonly port: number;
  readonly address: string;
}

export const portProtocols = ['http', 'http2', 'grpc', 'tcp'] as const;
export type PortProtocol = (typeof portProtocols)[number];

/** "9001", "8080:9001", "grpc:8080:9001": protocol (http), the service's port, the application's. */
export function parsePort(text: string, option = '--port'): WorkloadPort {
  const parts = text.split(':');
  const protocol = /^\d+$/.test(parts[0] ?? '') ? 'http' : (parts.shift() ?? '');
  if (!(portProtocols as readonly string[]).includes(protocol))
    throw usage(`${option} ${text}: "${protocol}" is no protocol`, `one of ${portProtocols.join(', ')}, as in grpc:8080:9001`);
  if (parts.length < 1 || parts.length > 2)
    throw usage(`${option} ${text}: not [PROTOCOL:]SERVICE_PORT[:APPLICATION_PORT]`, 'for example 9001, 8080:9001 or grpc:8080:9001');
  const servicePort = portNumber(parts[0] ?? '', `${option} ${text}`);
  return {
    protocol: protocol as PortProtocol,
    servicePort,
    applicationPort: parts.length === 2 ? portNumber(parts[1] ?? '', `${option} ${text}`) : servicePort,
  };
}

/** "order-service=127.0.0.1:7001", "order-service:8080=127.0.0.1:7001". */
export function parseUpstream(text: string, option = '--upstream'): Upstream {
  const match = /^([a-z0-9.-]+)(?::(\d+))?=(?:(127(?:\.\d{1,3}){3}|localhost):)?(\d+)$/i.exec(text);
  if (!match) throw usage(`${option} ${text}: not SERVICE[:PORT]=127.0.0.1:PORT`, 'for example order-service=127.0.0.1:7001');
  const host = match[3] === undefined || match[3] === 'localhost' ? '127.0.0.1' : match[3];
  return {
    service: (match[1] ?? '').toLowerCase(),
    port: match[2] ? portNumber(match[2], `${option} ${text}`) : 0,
    address: `${host}:${portNumber(match[4] ?? '', `${option} ${text}`)}`,
  };
}

/** RFC 1123 label, what Kubernetes takes as a name of service, namespace and service account. */
export function parseName(text: string, option: string): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text))
    throw usage(`${option} ${text}: not a name`, 'lower-case letters, digits and "-", at most 63, beginning and ending with a letter or a digit');
  return text;
}

/** "key=value" */
export function parseLabel(text: string, option = '--label'): [string, string] {
  const match = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,252})=([A-Za-z0-9._-]{0,63})$/.exec(text);
  if (!match) throw usage(`${option} ${text}: not KEY=VALUE`, 'for example team=shop');
  return [match[1] ?? '', match[2] ?? ''];
}

/** Value of the label "version". */
export function parseVersion(text: string, option = '--version'): string {
  if (text !== '' && !/^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(text))
    throw usage(`${option} ${text}: not a label's value`, 'letters, digits, ".", "_" and "-", at most 63, as in v1');
  return text;
}

/** Those that each workload has. */
export function ownLabels(name: string, version: string): Readonly<Record<string, string>> {
  return { app: name, ...(version === '' ? {} : { version }) };
}

/** A port of the service that is there twice. */
export function repeatedPort(ports: readonly WorkloadPort[]): WorkloadPort | undefined {
  return ports.find(({ servicePort }, index) => ports.findIndex((port) => port.servicePort === servicePort) < index);
}

/** NAME[-VERSION][-APPLICATION_PORT] */
export function instanceName(name: string, version: string, port: WorkloadPort | undefined): string {
  return [name, version.toLowerCase().replaceAll(/[._]/g, '-'), port?.applicationPort].filter(Boolean).join('-');
}

function portNumber(text: string, where: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw usage(`${where}: "${text}" is no port`, 'a number from 1 to 65535');
  return port;
}

function usage(what: string, next: string): CliError {
  return new CliError(what, { next, exitCode: ExitCode.usage });
}
