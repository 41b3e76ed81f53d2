import type { KindInEffect } from '@outrigger/resources';

/** Where a field does something else than it says, or nothing: on every data plane, in our proxy, in a real Envoy, or in a gRPC client without a proxy. */
export interface Difference {
  readonly on: 'all' | 'outrigger' | 'envoy' | 'grpc';
  readonly effect: 'differs' | 'none';
  readonly why: string;
}

const throughNetworks: Difference = { on: 'all', effect: 'differs', why: 'as MeshNetworks say; without them every endpoint is called at its own address' };
const redirectedOnly: Difference = {
  on: 'all',
  effect: 'differs',
  why: 'where connections are redirected to the proxy (`CAPTURE`); elsewhere calls come through HTTP_PROXY or a declared upstream port',
};
const notOfClients = (why = 'clients without a proxy do not do this'): Difference => ({ on: 'grpc', effect: 'none', why });

/**
 * What holds of a field beside `fieldsNotInEffect`, by kind and path ("[]" any index). The translation notes the same on the resource that has
 * such a field, where a proxy of that sort is concerned.
 */
export const fieldsThatDiffer: Readonly<Partial<Record<KindInEffect, Readonly<Record<string, Difference>>>>> = {
  VirtualService: {
    'http[].corsPolicy': notOfClients('gRPC clients are no browsers'),
    'http[].match[].queryParams': notOfClients('gRPC calls have no query'),
    'http[].retries.perTryTimeout': notOfClients('gRPC clients have no timeout per attempt'),
    'http[].retries.retryOn': { on: 'grpc', effect: 'differs', why: 'gRPC clients retry only on what is a status of gRPC' },
    'http[].rewrite': notOfClients(),
    'http[].headers': notOfClients(),
    'http[].mirror': notOfClients(),
    'http[].mirrors': notOfClients(),
    'http[].redirect': notOfClients(),
    'http[].directResponse': notOfClients(),
    'http[].timeout': { on: 'grpc', effect: 'differs', why: 'gRPC clients take it for the longest time of a whole call' },
    'tcp[].match[].sourceSubnet': {
      on: 'all',
      effect: 'differs',
      why: 'a match by it never holds; where connections are redirected (`CAPTURE`) it is not looked at',
    },
  },
  DestinationRule: {
    'trafficPolicy.loadBalancer.simple': { on: 'all', effect: 'differs', why: 'gRPC clients balance round robin; PASSTHROUGH is least request' },
    'trafficPolicy.tls.mode': { on: 'grpc', effect: 'none', why: 'gRPC clients have the mesh identity or none' },
    'trafficPolicy.proxyProtocol': { on: 'all', effect: 'differs', why: 'to what has no sidecar: a sidecar takes no PROXY header' },
    'trafficPolicy.outlierDetection.baseEjectionTime': {
      on: 'envoy',
      effect: 'differs',
      why: 'Envoy takes an endpoint back without a trial; our proxy lets one request decide',
    },
    'trafficPolicy.outlierDetection.maxEjectionPercent': { on: 'all', effect: 'differs', why: 'without it 100, where Istio has 10' },
  },
  ServiceEntry: { 'endpoints[].network': throughNetworks },
  WorkloadEntry: { network: throughNetworks },
  Sidecar: { 'egress[].bind': redirectedOnly, 'egress[].captureMode': redirectedOnly },
  EnvoyFilter: {
    'configPatches[].match.proxy.proxyVersion': { on: 'all', effect: 'differs', why: "proxies have no version of Istio's: the patch holds for none" },
  },
  Telemetry: {
    'accessLogging[].providers': { on: 'all', effect: 'differs', why: "the one log here is the proxy's own, which is the provider `envoy`" },
    'tracing[].customTags': { on: 'outrigger', effect: 'none', why: 'spans have the tags of the mesh alone' },
  },
  ApiGateway: {
    'tls.backend': { on: 'all', effect: 'differs', why: 'for Services that a BackendTLSPolicy names; others are called by the mTLS of the mesh' },
    'tls.frontend': {
      on: 'all',
      effect: 'differs',
      why: 'with AllowInsecureFallback clients are not asked for a certificate, since one that is not valid would be taken as well',
    },
  },
  AuthorizationPolicy: {
    action: { on: 'all', effect: 'differs', why: 'ALLOW and DENY are in effect; CUSTOM denies what its rules match, AUDIT does nothing' },
    targetRef: { on: 'all', effect: 'differs', why: 'Gateways of Gateway API and their classes alone' },
    targetRefs: { on: 'all', effect: 'differs', why: 'Gateways of Gateway API and their classes alone' },
  },
};
