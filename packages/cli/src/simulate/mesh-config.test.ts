import type { Resource } from '@outrigger/resources';
import { expect, it } from 'vitest';
import { exported, meshConfigOf } from './mesh-config.ts';

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
  const config = meshConfigOf({ rootNamespace: 'mesh', trustDomain: 'td', trustDomainAliases: ['old'], ingressControllerMode: 'OFF', meshMTLS: {} });
  expect(config.settings).toMatchObject({ rootNamespace: 'mesh', trustDomain: 'td', trustDomainAliases: ['old'] });
  expect(config).toMatchObject({ ingress: undefined, unread: ['meshMTLS'] });
});

it('exports what says nothing of it as the mesh does', () => {
  const { exportTo } = meshConfigOf({ defaultVirtualServiceExportTo: ['.'] });
  const of = (kind: string, spec: object) => ({ kind, spec }) as unknown as Resource;
  const all = exported([of('VirtualService', {}), of('VirtualService', { exportTo: ['*'] }), of('DestinationRule', {})], exportTo);
  expect(all.map(({ spec }) => spec)).toEqual([{ exportTo: ['.'] }, { exportTo: ['*'] }, {}]);
});
