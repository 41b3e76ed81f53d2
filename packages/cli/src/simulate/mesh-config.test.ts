import { expect, it } from 'vitest';
import { meshConfigOf } from './mesh-config.ts';

it.each([
  [{}, 'ALLOW_ANY'],
  [{ outboundTrafficPolicy: {} }, 'REGISTRY_ONLY'],
  [{ outboundTrafficPolicy: { mode: 'ALLOW_ANY' } }, 'ALLOW_ANY'],
  [{ outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } }, 'ALLOW_ANY_DYNAMIC_DNS'],
])('%j: %s', (config, outboundPolicy) => {
  expect(meshConfigOf(config).settings).toMatchObject({ outboundPolicy });
});

it.each([
  [{}, { className: 'istio', unclassed: false, gateway: 'ingressgateway' }],
  [
    { ingressControllerMode: 'DEFAULT', ingressClass: 'edge' },
    { className: 'edge', unclassed: true, gateway: 'ingressgateway' },
  ],
  [
    { ingressControllerMode: 'STRICT', ingressSelector: 'in', ingressService: 'out' },
    { className: 'istio', unclassed: false, gateway: 'in' },
  ],
])('%j: Ingresses of %j', (config, ingress) => {
  expect(meshConfigOf(config).ingress).toEqual(ingress);
});

it('says what of it is not looked at', () => {
  const config = meshConfigOf({ rootNamespace: 'mesh', trustDomain: 'td', trustDomainAliases: ['old'], ingressControllerMode: 'OFF', serviceSettings: [] });
  expect(config.settings).toMatchObject({ rootNamespace: 'mesh', trustDomain: 'td', trustDomainAliases: ['old'] });
  expect(config).toMatchObject({ ingress: undefined, unread: ['serviceSettings'] });
});
