import { expect, it } from 'vitest';
import { matchKind } from './unmatched.ts';

it.each([
  ['networking.istio.io/v1', 'VirtualService'],
  ['networking.istio.io/v1alpha3', 'VirtualService'],
  ['networking.istio.io/v1', 'Gateway'],
  ['gateway.networking.k8s.io/v1beta1', 'Gateway'],
  ['gateway.networking.x-k8s.io/v1alpha1', 'XBackend'],
])('%s %s is ours', (apiVersion, kind) => expect(matchKind(apiVersion, kind)).toMatchObject({ known: true, kind: { kind } }));

it.each([
  ['v1', 'Service'],
  ['apps/v1', 'Deployment'],
  ['networking.k8s.io/v1', 'Ingress'],
  ['install.istio.io/v1alpha1', 'IstioOperator'],
  ['appmesh.k8s.aws/v1beta2', 'VirtualService'],
  ['cert-manager.io/v1', 'Certificate'],
  ['kustomize.config.k8s.io/v1beta1', 'Kustomization'],
])("%s %s is somebody else's", (apiVersion, kind) => expect(matchKind(apiVersion, kind)).toEqual({ known: false, misspelt: false }));

it.each([
  ['networking.istio.io/v1', 'VirtualServce', 'did you mean VirtualService?'],
  ['networking.istio.io/v1', 'virtualservice', 'did you mean VirtualService?'],
  ['networking.istio.io/v1', 'AuthorizationPolicy', 'did you mean AuthorizationPolicy?'],
  ['networking.istio.io/v1', 'Nonsense', 'no matches for kind "Nonsense" in version "networking.istio.io/v1"'],
  ['networking.istio.io/v2', 'VirtualService', 'served are v1, v1beta1, v1alpha3'],
  ['networking.istio.oi/v1', 'VirtualService', 'did you mean networking.istio.io/v1?'],
  ['istio.io/v1', 'VirtualService', 'did you mean networking.istio.io/v1?'],
  ['v1', 'VirtualService', 'did you mean networking.istio.io/v1?'],
  ['networking.k8s.io/v1', 'HTTPRoute', 'did you mean gateway.networking.k8s.io/v1?'],
  ['gateway.networking.k8s.io/v1', 'HttpRoute', 'did you mean HTTPRoute?'],
])('%s %s is misspelt: %s', (apiVersion, kind, message) => {
  const match = matchKind(apiVersion, kind);
  expect(match).toMatchObject({ known: false, misspelt: true, message: expect.stringContaining(message) });
});
