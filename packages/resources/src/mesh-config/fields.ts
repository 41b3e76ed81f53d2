import { anyText, type Check, count, duration, flag, listOf, mapOf, objectOf, oneOf, positiveDuration, unchecked } from './check.ts';

/** `yes`: in effect. `offline`: in what `rig simulate`, `plan` and `analyze` tell, for what only a cluster has. `start`: read when `rig up` starts. `no`: without effect. */
export type MeshConfigEffect = 'yes' | 'offline' | 'start' | 'no';

export interface MeshConfigField {
  readonly check: Check;
  readonly effect: MeshConfigEffect;
  /** What it does here, or why it does nothing. */
  readonly says: string;
}

const exportTo = listOf(anyText);
const kubernetes = 'the control plane reads no Kubernetes API';
const injected = 'proxies are started by `rig run` and `rig node`, which are told this themselves';

/** Every field of Istio's MeshConfig. */
export const meshConfigFields: Readonly<Record<string, MeshConfigField>> = {
  accessLogEncoding: {
    check: oneOf('TEXT', 'JSON'),
    effect: 'yes',
    says: 'JSON: `accessLogFormat` is a JSON object of commands. TEXT: it is a line. Without a format the log is JSON, with the keys of Istio',
  },
  accessLogFile: { check: anyText, effect: 'yes', says: 'proxies that name no access log of their own write there' },
  accessLogFormat: { check: anyText, effect: 'yes', says: 'with `accessLogFile`: what a line has' },
  ca: { check: unchecked, effect: 'no', says: 'certificates are signed by the control plane itself' },
  caCertificates: { check: listOf(unchecked), effect: 'no', says: "the trust bundle is that of the mesh's own authority" },
  certificates: { check: listOf(unchecked), effect: 'no', says: 'there are no certificates for Kubernetes DNS names to keep' },
  configSources: { check: listOf(unchecked), effect: 'no', says: 'configuration comes of `rig up --config` and `rig apply`' },
  connectTimeout: {
    check: positiveDuration,
    effect: 'yes',
    says: 'connections to a service wait so long, where no DestinationRule says otherwise. Default 1s (Istio: 10s)',
  },
  defaultConfig: { check: unchecked, effect: 'no', says: `${injected}; analysis reads it` },
  defaultDestinationRuleExportTo: { check: exportTo, effect: 'yes', says: 'exportTo of DestinationRules that have none' },
  defaultHttpRetryPolicy: {
    check: objectOf({
      attempts: count,
      perTryTimeout: duration,
      retryOn: anyText,
      retryRemoteLocalities: flag,
      retryIgnorePreviousHosts: flag,
      backoff: duration,
    }),
    effect: 'yes',
    says: "retries of routes that say nothing of retries, as a route's own would be: for every method, also those that are not idempotent. `retryRemoteLocalities` has no effect",
  },
  defaultProviders: { check: unchecked, effect: 'no', says: 'of telemetry: analysis reads it' },
  defaultServiceExportTo: { check: exportTo, effect: 'yes', says: 'exportTo of ServiceEntries and services that have none' },
  defaultVirtualServiceExportTo: { check: exportTo, effect: 'yes', says: 'exportTo of VirtualServices that have none' },
  defaultTrafficPolicy: { check: unchecked, effect: 'no', says: 'how a host is called is said by its DestinationRule' },
  disableEnvoyListenerLog: { check: flag, effect: 'no', says: 'listeners have no log beside those of their requests and connections' },
  discoverySelectors: { check: listOf(unchecked), effect: 'no', says: kubernetes },
  dnsRefreshRate: { check: positiveDuration, effect: 'yes', says: 'names of resolution DNS are resolved so often where their records have no TTL. Default 5s' },
  enableAutoMtls: {
    check: flag,
    effect: 'yes',
    says: 'false: mesh mTLS only where a DestinationRule says ISTIO_MUTUAL. A workload that takes mTLS alone is then out of reach for others',
  },
  enableEnvoyAccessLogService: { check: flag, effect: 'no', says: 'Envoys always report to the control plane' },
  enablePrometheusMerge: { check: flag, effect: 'no', says: "a proxy's metrics and an application's have pages of their own" },
  enableTracing: {
    check: flag,
    effect: 'yes',
    says: 'false: no spans, but where a Telemetry gives a percentage. Else a proxy traces where `--otlp` names a collector. Default true',
  },
  extensionProviders: {
    check: listOf(unchecked),
    effect: 'no',
    says: 'authorization, telemetry and tracing by providers are not in effect; analysis reads them',
  },
  h2UpgradePolicy: {
    check: oneOf('DO_NOT_UPGRADE', 'UPGRADE'),
    effect: 'yes',
    says: 'UPGRADE: HTTP/1.1 goes to services over HTTP/2 where no DestinationRule says otherwise. Between sidecars it always does',
  },
  hboneIdleTimeout: { check: duration, effect: 'no', says: 'there is no ambient mode' },
  inboundClusterStatName: { check: anyText, effect: 'no', says: 'names of metrics are fixed' },
  inboundTrafficPolicy: {
    check: objectOf({ mode: oneOf('PASSTHROUGH', 'LOCALHOST') }),
    effect: 'no',
    says: 'an application is reached at the address that its `rig run` or workload list says',
  },
  ingressClass: { check: anyText, effect: 'offline', says: 'class of the Ingresses that are served' },
  ingressControllerMode: {
    check: oneOf('UNSPECIFIED', 'OFF', 'DEFAULT', 'STRICT'),
    effect: 'offline',
    says: 'OFF: Ingresses are not served. DEFAULT: those without a class are, too',
  },
  ingressSelector: { check: anyText, effect: 'offline', says: 'label "istio" of the gateways that serve Ingresses' },
  ingressService: { check: anyText, effect: 'offline', says: 'the same where there is no `ingressSelector`; analysis takes this Service to exist' },
  localityLbSetting: {
    check: objectOf({
      enabled: flag,
      distribute: listOf(objectOf({ from: anyText, to: mapOf(count) })),
      failover: listOf(objectOf({ from: anyText, to: anyText })),
      failoverPriority: listOf(anyText),
    }),
    effect: 'yes',
    says: 'balancing by locality where no DestinationRule says otherwise. Without it there is none',
  },
  meshMTLS: {
    check: objectOf({ minProtocolVersion: oneOf('TLS_AUTO', 'TLSV1_2', 'TLSV1_3'), ecdhCurves: listOf(anyText), cipherSuites: listOf(anyText) }),
    effect: 'yes',
    says: '`minProtocolVersion` of mesh mTLS between sidecars. `ecdhCurves` and `cipherSuites` have no effect: those of the TLS library are used',
  },
  outboundClusterStatName: { check: anyText, effect: 'no', says: 'names of metrics are fixed' },
  outboundTrafficPolicy: {
    check: objectOf({ mode: oneOf('ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS') }),
    effect: 'yes',
    says: 'what happens with hosts that are no service of the mesh, where no Sidecar says otherwise. Default ALLOW_ANY; without a mode REGISTRY_ONLY',
  },
  pathNormalization: {
    check: objectOf({ normalization: oneOf('DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES') }),
    effect: 'yes',
    says: 'how paths are normalised before routes and policies see them. DEFAULT is BASE',
  },
  protocolDetectionTimeout: { check: duration, effect: 'no', says: 'how long a proxy waits for the first bytes is fixed' },
  proxyHttpPort: { check: count, effect: 'no', says: injected },
  proxyInboundListenPort: { check: count, effect: 'no', says: injected },
  proxyListenPort: { check: count, effect: 'no', says: injected },
  rootNamespace: { check: anyText, effect: 'start', says: 'namespace whose policies hold for all, as `--root-namespace`, which goes before' },
  serviceEntryVisibility: { check: unchecked, effect: 'no', says: '`exportTo` of a ServiceEntry and `defaultServiceExportTo` say who sees it' },
  serviceScopeConfigs: { check: listOf(unchecked), effect: 'no', says: 'there is no ambient mode' },
  serviceSettings: { check: listOf(unchecked), effect: 'no', says: 'there is one cluster' },
  tcpKeepalive: {
    check: objectOf({ probes: count, time: positiveDuration, interval: positiveDuration }),
    effect: 'yes',
    says: 'keep-alive of connections to services, where no DestinationRule says otherwise',
  },
  tlsDefaults: {
    check: objectOf({ minProtocolVersion: anyText, ecdhCurves: listOf(anyText), cipherSuites: listOf(anyText) }),
    effect: 'no',
    says: "outside mesh mTLS a Gateway's own `tls` says what it takes, and the TLS library the rest",
  },
  trustDomain: { check: anyText, effect: 'start', says: 'as `--trust-domain`, which goes before; fixed with the state directory' },
  trustDomainAliases: { check: listOf(anyText), effect: 'yes', says: 'identities of these trust domains are accepted, and stand for ours in policies' },
  verifyCertificateAtClient: { check: flag, effect: 'no', says: 'certificates of servers are always verified' },
};
