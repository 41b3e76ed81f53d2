import { parseSettings } from '@outrigger/resources';

export interface KnownAnnotation {
  readonly status: 'Alpha' | 'Beta' | 'Stable';
  readonly deprecated: boolean;
  /** Kinds that it does something on, "Any" for all. */
  readonly kinds: readonly string[];
}

const alpha = (deprecated: boolean, names: readonly string[], ...kinds: readonly string[]): readonly (readonly [string, KnownAnnotation])[] =>
  names.map((name) => [name, { status: 'Alpha', deprecated, kinds }]);

/** Istio's annotations, by its reference of resource annotations. */
export const annotationsByName: ReadonlyMap<string, KnownAnnotation> = new Map([
  ...alpha(
    false,
    [
      'galley.istio.io/analyze-suppress',
      'install.operator.istio.io/chart-owner',
      'install.operator.istio.io/owner-generation',
      'install.operator.istio.io/version',
    ],
    'Any',
  ),
  ...alpha(true, ['alpha.istio.io/canonical-serviceaccounts', 'alpha.istio.io/kubernetes-serviceaccounts'], 'Service'),
  ...alpha(false, ['networking.istio.io/exportTo', 'traffic.istio.io/nodeSelector'], 'Service'),
  ...alpha(false, ['networking.istio.io/traffic-distribution'], 'Service', 'ServiceEntry', 'Namespace'),
  ...alpha(false, ['istio.io/dry-run'], 'AuthorizationPolicy'),
  ...alpha(false, ['istio.io/autoRegistrationGroup', 'istio.io/connectedAt', 'istio.io/disconnectedAt', 'istio.io/workloadController'], 'WorkloadEntry'),
  ...alpha(
    false,
    [
      'gateway.istio.io/controller-version',
      'gateway.istio.io/name-override',
      'gateway.istio.io/service-account',
      'networking.istio.io/address-type',
      'networking.istio.io/service-type',
    ],
    'Gateway',
  ),
  ...alpha(false, ['topology.istio.io/controlPlaneClusters'], 'Namespace'),
  ...alpha(
    true,
    [
      'alpha.istio.io/identity',
      'sidecar.istio.io/controlPlaneAuthPolicy',
      'sidecar.istio.io/discoveryAddress',
      'sidecar.istio.io/statsInclusionPrefixes',
      'sidecar.istio.io/statsInclusionRegexps',
      'sidecar.istio.io/statsInclusionSuffixes',
      'traffic.sidecar.istio.io/kubevirtInterfaces',
    ],
    'Pod',
  ),
  ...alpha(
    false,
    [
      'ambient.istio.io/bypass-inbound-capture',
      'ambient.istio.io/dns-capture',
      'inject.istio.io/templates',
      'istio.io/reroute-virtual-interfaces',
      'istio.io/rev',
      'prometheus.istio.io/merge-metrics',
      'proxy.istio.io/overrides',
      'readiness.status.sidecar.istio.io/applicationPorts',
      'readiness.status.sidecar.istio.io/failureThreshold',
      'readiness.status.sidecar.istio.io/initialDelaySeconds',
      'readiness.status.sidecar.istio.io/periodSeconds',
      'sidecar.istio.io/agentLogLevel',
      'sidecar.istio.io/bootstrapOverride',
      'sidecar.istio.io/componentLogLevel',
      'sidecar.istio.io/enableCoreDump',
      'sidecar.istio.io/extraStatTags',
      'sidecar.istio.io/interceptionMode',
      'sidecar.istio.io/logLevel',
      'sidecar.istio.io/nativeSidecar',
      'sidecar.istio.io/proxyCPU',
      'sidecar.istio.io/proxyCPULimit',
      'sidecar.istio.io/proxyImage',
      'sidecar.istio.io/proxyImageType',
      'sidecar.istio.io/proxyMemory',
      'sidecar.istio.io/proxyMemoryLimit',
      'sidecar.istio.io/rewriteAppHTTPProbers',
      'sidecar.istio.io/statsCompression',
      'sidecar.istio.io/statsEvictionInterval',
      'sidecar.istio.io/statsHistogramBuckets',
      'sidecar.istio.io/status',
      'sidecar.istio.io/userVolume',
      'sidecar.istio.io/userVolumeMount',
      'status.sidecar.istio.io/port',
      'traffic.sidecar.istio.io/excludeInboundPorts',
      'traffic.sidecar.istio.io/excludeInterfaces',
      'traffic.sidecar.istio.io/excludeOutboundIPRanges',
      'traffic.sidecar.istio.io/excludeOutboundPorts',
      'traffic.sidecar.istio.io/includeInboundPorts',
      'traffic.sidecar.istio.io/includeOutboundIPRanges',
      'traffic.sidecar.istio.io/includeOutboundPorts',
    ],
    'Pod',
  ),
  ['ambient.istio.io/redirection', { status: 'Beta', deprecated: false, kinds: ['Pod'] }],
  ['proxy.istio.io/config', { status: 'Beta', deprecated: false, kinds: ['Pod'] }],
  ['sidecar.istio.io/inject', { status: 'Beta', deprecated: true, kinds: ['Pod'] }],
  ['kubernetes.io/ingress.class', { status: 'Stable', deprecated: false, kinds: ['Ingress'] }],
]);

/** Whether an annotation is one of Istio's, known or not. */
export function isIstioAnnotation(name: string): boolean {
  return name === 'kubernetes.io/ingress.class' || (name.split('/', 1)[0] as string).endsWith('istio.io');
}

/** Why a value is none for an annotation; undefined where nothing is wrong. */
export function annotationProblem(name: string, value: string): string | undefined {
  return checks[name]?.(value);
}

type Check = (value: string) => string | undefined;

const maxPort = 65_535;
const maxUint32 = 4_294_967_295;

const number =
  (what: string, max: number): Check =>
  (value) =>
    /^\d+$/.test(value.trim()) && Number(value) <= max ? undefined : `${JSON.stringify(value)} is no ${what}`;
const port = number('port', maxPort);
const listOf =
  (check: Check): Check =>
  (value) =>
    value.trim() === ''
      ? undefined
      : value
          .split(',')
          .map(check)
          .find((problem) => problem !== undefined);
const orAny =
  (check: Check): Check =>
  (value) =>
    value === '*' ? undefined : check(value);
const oneOf =
  (what: string, ...values: readonly string[]): Check =>
  (value) =>
    values.includes(value) ? undefined : `${JSON.stringify(value)} is no ${what}: write one of ${values.join(', ')}`;

function range(value: string): string | undefined {
  const [address = '', length = '', more] = value.split('/');
  const isV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(address) && address.split('.').every((part) => Number(part) <= 255);
  const isV6 = address.includes(':') && /^[0-9a-f:.]+$/i.test(address) && URL.canParse(`http://[${address}]`);
  const isLength = /^\d{1,3}$/.test(length) && Number(length) <= (isV4 ? 32 : 128);
  return more === undefined && (isV4 || isV6) && isLength ? undefined : `${JSON.stringify(value)} is no range of addresses (10.0.0.0/8)`;
}

const checks: Readonly<Record<string, Check>> = {
  'sidecar.istio.io/interceptionMode': oneOf('mode', 'REDIRECT', 'TPROXY', 'NONE'),
  'status.sidecar.istio.io/port': port,
  'readiness.status.sidecar.istio.io/initialDelaySeconds': number('number of seconds', maxUint32),
  'readiness.status.sidecar.istio.io/periodSeconds': number('number of seconds', maxUint32),
  'readiness.status.sidecar.istio.io/failureThreshold': number('number of failures', maxUint32),
  'traffic.sidecar.istio.io/includeOutboundIPRanges': orAny(listOf(range)),
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': listOf(range),
  'traffic.sidecar.istio.io/includeInboundPorts': orAny(listOf(port)),
  'traffic.sidecar.istio.io/excludeInboundPorts': listOf(port),
  'traffic.sidecar.istio.io/excludeOutboundPorts': listOf(port),
  'prometheus.istio.io/merge-metrics': oneOf('boolean', '1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'),
  'proxy.istio.io/config': (value) => parseSettings({ file: '', text: value }).problems[0]?.message,
};
