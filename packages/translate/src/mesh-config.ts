import {
  durationMs,
  field,
  type HttpRetry,
  isJsonObject,
  type JsonObject,
  type LocalityLoadBalancerSetting,
  list,
  stringMap,
  text,
} from '@outrigger/resources';
import type { MeshSettings, OutboundPolicy, PathNormalization } from './settings.ts';

const POLICIES: ReadonlySet<string> = new Set(['ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS']);
const NORMALIZATIONS: ReadonlySet<string> = new Set(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']);

/** Istio's MeshConfig as settings of ours: what it leaves out is left out. */
export function settingsOf(config: JsonObject): Partial<MeshSettings> {
  const policy = config['outboundTrafficPolicy'];
  // The enumeration's first value is what a policy without a mode has.
  const mode = policy === undefined || policy === null ? 'ALLOW_ANY' : text(field(policy, 'mode')) || 'REGISTRY_ONLY';
  const rootNamespace = text(config['rootNamespace']);
  const trustDomain = text(config['trustDomain']);
  const normalization = text(field(config, 'pathNormalization', 'normalization'));
  const connectTimeoutMs = duration(config['connectTimeout']);
  const dnsRefreshMs = duration(config['dnsRefreshRate']);
  const { tcpKeepalive, localityLbSetting, defaultHttpRetryPolicy } = config;
  return {
    ...(POLICIES.has(mode) ? { outboundPolicy: mode as OutboundPolicy } : {}),
    ...(rootNamespace === '' ? {} : { rootNamespace }),
    ...(trustDomain === '' ? {} : { trustDomain }),
    trustDomainAliases: list(config['trustDomainAliases']).map(text),
    serviceExportTo: list(config['defaultServiceExportTo']).map(text),
    virtualServiceExportTo: list(config['defaultVirtualServiceExportTo']).map(text),
    destinationRuleExportTo: list(config['defaultDestinationRuleExportTo']).map(text),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    ...(dnsRefreshMs === undefined ? {} : { dnsRefreshMs }),
    ...(isJsonObject(tcpKeepalive) ? { tcpKeepalive: keepaliveOf(tcpKeepalive) } : {}),
    ...(isJsonObject(localityLbSetting) ? { localityLbSetting: localityLbSetting as unknown as LocalityLoadBalancerSetting } : {}),
    ...(isJsonObject(defaultHttpRetryPolicy) ? { defaultRetries: defaultHttpRetryPolicy as HttpRetry } : {}),
    upgradesToHttp2: text(config['h2UpgradePolicy']) === 'UPGRADE',
    autoMtls: config['enableAutoMtls'] !== false,
    ...(text(field(config, 'meshMTLS', 'minProtocolVersion')) === 'TLSV1_3' ? { minMeshTls: 'TLSv1_3' } : {}),
    ...(NORMALIZATIONS.has(normalization) ? { pathNormalization: normalization as PathNormalization } : {}),
    tracing: config['enableTracing'] !== false,
    ...accessLogOf(config),
  };
}

function duration(value: JsonObject[string] | undefined): number | undefined {
  return typeof value === 'string' ? durationMs(value) : undefined;
}

function keepaliveOf({ probes, time, interval }: JsonObject): MeshSettings['tcpKeepalive'] {
  const timeMs = duration(time);
  const intervalMs = duration(interval);
  return {
    ...(typeof probes === 'number' ? { probes } : {}),
    ...(timeMs === undefined ? {} : { timeMs }),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  };
}

function accessLogOf(config: JsonObject): Pick<Partial<MeshSettings>, 'accessLog'> {
  const file = text(config['accessLogFile']);
  if (file === '') return {};
  const written = text(config['accessLogFormat']);
  const format = written === '' ? undefined : config['accessLogEncoding'] === 'JSON' ? jsonFormat(written) : written;
  return { accessLog: { file, format } };
}

/** undefined: it is no JSON object. */
function jsonFormat(written: string): Readonly<Record<string, string>> | undefined {
  try {
    return stringMap(JSON.parse(written));
  } catch {
    return undefined;
  }
}
