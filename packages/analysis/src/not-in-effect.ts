import type { KindInEffect } from '@outrigger/resources';

/** Why nothing acts on a kind, and what to do instead, by "group/Kind"; others are not there yet. */
export const kindsNotInEffect: Readonly<Record<string, string>> = {
  'networking.istio.io/ProxyConfig':
    'a proxy is a process that `rig run` starts, which knows its settings before it knows the mesh: give it `--concurrency N`, and environment variables of its own',
  'extensions.istio.io/WasmPlugin':
    'no proxy of this mesh is given code from elsewhere, so that what the plugin would refuse passes; use AuthorizationPolicy, or an EnvoyFilter with a filter that the proxy has',
  'extensions.istio.io/TrafficExtension':
    'no proxy of this mesh is given code from elsewhere, so that what it would refuse passes; use AuthorizationPolicy, or an EnvoyFilter with a filter that the proxy has',
};

/**
 * Fields that validation takes and no proxy acts on, by kind: path ("[]" any index) and why. This is what holds on all proxies, and is noted on
 * the resource from here; the translation notes what depends on a proxy.
 */
export const fieldsNotInEffect: Readonly<Record<KindInEffect, Readonly<Record<string, string>>>> = {
  VirtualService: {
    'http[].fault.delay.exponentialDelay': 'Istio does not act on it either',
    'http[].fault.abort.http2Error': 'Istio does not act on it either',
    'http[].match[].statPrefix': 'metrics are counted by service, not by route',
    'http[].retries.retryRemoteLocalities': 'retries stay within the priorities that balancing chooses',
  },
  DestinationRule: {
    'trafficPolicy.loadBalancer.zoneAwareLbSetting': 'zone aware balancing comes later',
    'trafficPolicy.loadBalancer.backendUtilization': 'balancing by reported load comes later',
    'trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes': 'which status codes count as failures cannot be chosen yet',
    'trafficPolicy.tls.credentialName': 'secrets by name are not served yet: give files',
    'trafficPolicy.connectionPool.tcp.idleTimeout': 'idle TCP connections are not closed by the mesh',
    'trafficPolicy.retryBudget.budgetInterval': 'the budget is a share of the requests that are under way',
  },
  ServiceEntry: {},
  WorkloadEntry: {},
  WorkloadGroup: {
    metadata: 'workloads say themselves what they are when they register (`rig run`)',
    template: 'workloads say themselves what they are when they register (`rig run`)',
    probe: '`rig run --health-path` looks at an application',
  },
  Sidecar: {
    ingress: "inbound listeners come from the ports that a workload registered; its tls is in effect where the mesh's own is off",
    inboundConnectionPool: 'connections to the application are not limited yet',
  },
  Gateway: {
    'servers[].defaultEndpoint': 'Istio does not act on it either',
    'servers[].tls.verifyCertificateSpki': 'client certificates are verified by their authority and names',
    'servers[].tls.verifyCertificateHash': 'client certificates are verified by their authority and names',
    'servers[].port.targetPort': 'Istio does not act on it either',
    'servers[].tls.caCertCredentialName': 'the authority of clients is NAME-cacert of the certificate NAME',
    'servers[].tls.ecdhCurves': 'the curves are those of the proxy',
    'servers[].tls.insecureSkipVerify': 'certificates of clients are verified',
  },
  EnvoyFilter: {
    'configPatches[].match.listener.portName': 'Istio does not act on it either',
    'configPatches[].match.waypoint': 'there are no waypoints here',
  },
  Telemetry: {
    'accessLogging[].filter': 'everything is logged, or nothing',
    metrics: 'every metric is counted, with the labels that it has',
    'tracing[].providers': 'spans go where `--otlp` says',
    'tracing[].enableIstioTags': 'spans always have the tags of the mesh',
    'tracing[].disableContextPropagation': 'the context of a trace always goes on',
    'tracing[].useRequestIdForTraceSampling': 'sampling goes by the id of the trace',
  },
  GatewayClass: { parametersRef: 'a class has no parameters here' },
  ApiGateway: {
    infrastructure: 'a gateway is started by `rig gateway`, not made of its resource',
    defaultScope: 'routes name their gateways',
    'listeners[].tls.options': 'there are no options of ours',
  },
  HTTPRoute: {
    'rules[].sessionPersistence': 'a DestinationRule with a consistent hash keeps sessions',
    'rules[].filters[].extensionRef': 'there are no filters of other groups, so that its requests are refused with 500',
    'rules[].backendRefs[].filters[].extensionRef': 'there are no filters of other groups, so that its requests are refused with 500',
    'rules[].filters[].externalAuth': 'there is no external authorization yet, so that its requests are refused with 500',
    'rules[].backendRefs[].filters[].externalAuth': 'there is no external authorization yet, so that its requests are refused with 500',
    useDefaultGateways: 'routes name their gateways',
  },
  GRPCRoute: {
    'rules[].sessionPersistence': 'a DestinationRule with a consistent hash keeps sessions',
    'rules[].filters[].extensionRef': 'there are no filters of other groups, so that its requests are refused with UNAVAILABLE',
    'rules[].backendRefs[].filters[].extensionRef': 'there are no filters of other groups, so that its requests are refused with UNAVAILABLE',
    useDefaultGateways: 'routes name their gateways',
  },
  TLSRoute: { useDefaultGateways: 'routes name their gateways' },
  TCPRoute: { useDefaultGateways: 'routes name their gateways' },
  ListenerSet: { 'listeners[].tls.options': 'there are no options of ours' },
  ReferenceGrant: {},
  Rollout: {},
  BackendTLSPolicy: { options: 'there are no options of ours' },
  PeerAuthentication: {},
  AuthorizationPolicy: {
    provider: 'there is no external authorization yet, so that CUSTOM denies what its rules match',
    'rules[].from[].source.requestPrincipals': 'end-user tokens are not read yet, so that it matches nobody',
    'rules[].from[].source.notRequestPrincipals': 'end-user tokens are not read yet, so that it matches everybody',
  },
};
