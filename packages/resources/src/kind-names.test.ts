import { expect, test } from 'vitest';
import { kindsNamed } from './kind-names.ts';

test.each([
  ['VirtualService', ['networking.istio.io/VirtualService']],
  ['virtualservices', ['networking.istio.io/VirtualService']],
  ['VS', ['networking.istio.io/VirtualService']],
  ['gw', ['networking.istio.io/Gateway']],
  ['gtw', ['gateway.networking.k8s.io/Gateway']],
  ['Gateway', ['gateway.networking.k8s.io/Gateway', 'networking.istio.io/Gateway']],
  ['gateways.networking.istio.io', ['networking.istio.io/Gateway']],
  ['Gateway.gateway.networking.k8s.io', ['gateway.networking.k8s.io/Gateway']],
  ['gateway.example.com', []],
  ['', []],
])('%s', (text, expected) => {
  expect(kindsNamed(text).map(({ group, kind }) => `${group}/${kind}`)).toEqual(expected);
});
