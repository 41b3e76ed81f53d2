import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type DnsServer, dnsServerOf } from '@outrigger/discovery';
import { trustDomainFault } from '@outrigger/identity';
import { systemClock } from './clock.ts';
import { type Bind, type Clock, type ControlPlaneOptions, type LogEntry, StartError } from './options.ts';

/** Istio's own, where there are some. */
const DEFAULT_GRPC_PORT = 15_012;
const DEFAULT_API_PORT = 15_014;
const DEFAULT_SCRAPE_INTERVAL_MS = 1_000;
const MIN_SCRAPE_INTERVAL_MS = 100;
const MAX_EXTERNAL_NAMES = 100;

/** Options with nothing left open. */
export interface SettledOptions {
  readonly version: string;
  readonly configDirectory: string | undefined;
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly outboundPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY' | undefined;
  readonly grpc: Required<Bind>;
  readonly api: Required<Bind>;
  /** Whether the API is reached from this machine alone. */
  readonly apiOnLoopback: boolean;
  readonly externalNames: readonly string[];
  /** undefined: those of this machine. */
  readonly dnsServers: readonly DnsServer[] | undefined;
  readonly dashboardDirectory: string | undefined;
  readonly certificateTtlMs: number | undefined;
  readonly scrapeIntervalMs: number;
  readonly requestSamples: boolean;
  readonly historyRevisions: number | undefined;
  readonly log: (entry: LogEntry) => void;
  readonly clock: Clock;
}

/** Checks and completes. Throws a `StartError`: BAD_OPTION, CONFIG_DIRECTORY. */
export function settle(options: ControlPlaneOptions): SettledOptions {
  const trustDomain = options.trustDomain ?? 'cluster.local';
  const fault = trustDomainFault(trustDomain);
  if (fault !== undefined) throw bad('trustDomain', fault, 'Give a name like cluster.local or mesh.example.com.');
  const rootNamespace = options.rootNamespace ?? 'istio-system';
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(rootNamespace))
    throw bad('rootNamespace', `"${rootNamespace}" is no namespace`, 'Use lower-case letters, digits and dashes.');
  const { certificateTtlMs, historyRevisions, scrapeIntervalMs = DEFAULT_SCRAPE_INTERVAL_MS } = options;
  if (certificateTtlMs !== undefined && !(certificateTtlMs >= 1000 && certificateTtlMs <= 7 * 86_400_000))
    throw bad('certificateTtlMs', `${certificateTtlMs} ms is no life for a certificate`, 'Give 1 s to 7 days.');
  if (historyRevisions !== undefined && !(Number.isInteger(historyRevisions) && historyRevisions >= 1))
    throw bad('historyRevisions', `${historyRevisions} is no number of revisions`, 'Give a whole number from 1.');
  if (!(scrapeIntervalMs >= MIN_SCRAPE_INTERVAL_MS))
    throw bad('scrapeIntervalMs', `${scrapeIntervalMs} ms is too short`, `Give ${MIN_SCRAPE_INTERVAL_MS} or more.`);
  const externalNames = options.externalNames ?? [];
  for (const name of externalNames) {
    if (isIP(name) === 0 && !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name))
      throw bad('externalNames', `"${name}" is neither a host name nor an IP address`, 'Give names without a scheme and a port.');
  }
  if (externalNames.length > MAX_EXTERNAL_NAMES)
    throw bad('externalNames', `${externalNames.length} names are too many`, `Give at most ${MAX_EXTERNAL_NAMES}.`);
  const grpc = bind('grpc', options.grpc, DEFAULT_GRPC_PORT);
  const api = bind('api', options.api, DEFAULT_API_PORT);
  return {
    version: options.version,
    configDirectory: options.configDirectory === undefined ? undefined : folder(options.configDirectory),
    trustDomain,
    rootNamespace,
    outboundPolicy: options.outboundPolicy,
    grpc,
    api,
    apiOnLoopback: isLoopback(api.host),
    externalNames: [...new Set([...externalNames, ...[grpc.host, api.host].flatMap(namesOfBind)])],
    dnsServers: options.dnsServers?.map(dnsServer),
    dashboardDirectory: options.dashboardDirectory,
    certificateTtlMs,
    scrapeIntervalMs,
    requestSamples: options.requestSamples ?? true,
    historyRevisions,
    log: options.log ?? (() => {}),
    clock: options.clock ?? systemClock,
  };
}

function dnsServer(text: string): DnsServer {
  const server = dnsServerOf(text);
  if (server === undefined)
    throw bad('dnsServers', `"${text}" is no address of a DNS server`, 'Give an IP address, with its port where that is not 53: 127.0.0.1:8600.');
  return server;
}

/** By which names one calls what is bound there. */
function namesOfBind(host: string): string[] {
  if (isLoopback(host)) return [];
  if (host === '0.0.0.0' || host === '::') return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(hostname()) ? [hostname()] : [];
  return [host];
}

function bind(option: string, given: Bind | undefined, defaultPort: number): Required<Bind> {
  const host = given?.host === 'localhost' ? '127.0.0.1' : (given?.host ?? '127.0.0.1');
  const port = given?.port ?? defaultPort;
  if (isIP(host) === 0) throw bad(`${option}.host`, `"${host}" is no IP address`, 'Give one of this machine, 127.0.0.1 for instance.');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw bad(`${option}.port`, `${port} is no port`, 'Give 0 (any free one) to 65535.');
  return { host, port };
}

function isLoopback(host: string): boolean {
  return host === '::1' || /^127\./.test(host);
}

function folder(path: string): string {
  const directory = resolve(path);
  const stat = statSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return directory;
  throw new StartError(
    'CONFIG_DIRECTORY',
    stat === undefined ? 'there is no such folder' : 'this is no folder',
    directory,
    'Give the folder that holds your YAML (--config DIR).',
  );
}

function bad(option: string, what: string, next: string): StartError {
  return new StartError('BAD_OPTION', what, option, next);
}
