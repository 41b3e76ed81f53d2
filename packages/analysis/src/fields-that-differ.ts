import type { KindInEffect } from '@outrigger/resources';

/** Where a field does something else than it says, or nothing: on every data plane, beside a real Envoy, or in a gRPC client without a proxy. */
export interface Difference {
  readonly on: 'all' | 'envoy' | 'grpc';
  readonly effect: 'differs' | 'none';
  readonly why: string;
}

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
  },
  DestinationRule: {
    'trafficPolicy.loadBalancer.simple': { on: 'grpc', effect: 'differs', why: 'gRPC clients balance round robin' },
    'trafficPolicy.tls.mode': { on: 'grpc', effect: 'none', why: 'gRPC clients have the mesh identity or none' },
    'trafficPolicy.proxyProtocol': { on: 'all', effect: 'differs', why: 'to what has no sidecar: a sidecar takes no PROXY header' },
    'trafficPolicy.outlierDetection.baseEjectionTime': {
      on: 'envoy',
      effect: 'differs',
      why: 'Envoy takes an endpoint back without a trial; our proxy lets one request decide',
    },
    'trafficPolicy.outlierDetection.maxEjectionPercent': { on: 'all', effect: 'differs', why: 'without it 100, where Istio has 10' },
  },
  ApiGateway: {
    'tls.backend': { on: 'all', effect: 'differs', why: 'for Services that a BackendTLSPolicy names; others are called by the mTLS of the mesh' },
    'tls.frontend': {
      on: 'all',
      effect: 'differs',
      why: 'with AllowInsecureFallback clients are not asked for a certificate, since one that is not valid would be taken as well',
    },
  },
  BackendTLSPolicy: { 'validation.caCertificateRefs': { on: 'all', effect: 'differs', why: 'one reference is heeded, the first' } },
  AuthorizationPolicy: {
    action: { on: 'all', effect: 'differs', why: 'ALLOW and DENY are in effect; CUSTOM denies what its rules match, AUDIT does nothing' },
    targetRef: { on: 'all', effect: 'differs', why: 'Gateways of Gateway API and their classes alone' },
    targetRefs: { on: 'all', effect: 'differs', why: 'Gateways of Gateway API and their classes alone' },
  },
};
