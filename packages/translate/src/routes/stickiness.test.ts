import type { HttpRoute } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { buildMesh } from '../mesh.ts';
import { node, resource, shopInstances, shopServices, subsets } from '../testing/shop.ts';
import { virtualHost } from '../translate.ts';

const route = (sticky: HttpRoute['sticky']): HttpRoute => ({
  route: [
    { destination: { host: 'order-service', subset: 'v1' }, weight: 90 },
    { destination: { host: 'order-service', subset: 'v2' }, weight: 10 },
  ],
  ...(sticky === undefined ? {} : { sticky }),
});

function actionOf(sticky: HttpRoute['sticky']) {
  const config = [resource('VirtualService', 'order', { hosts: ['order-service'], http: [route(sticky)] }), subsets];
  const host = virtualHost(buildMesh({ config, services: shopServices, instances: shopInstances }), node('web'), 'http_proxy/order-service:8080');
  const action = host.message!.routes[1]!.action;
  if (action.case !== 'route' || action.value.clusterSpecifier.case !== 'weightedClusters') throw new Error('no weights');
  return { hash: action.value.hashPolicy, weighted: action.value.clusterSpecifier.value };
}

test.each([
  [{ header: 'x-user' }, { case: 'header', value: { headerName: 'x-user' } }],
  [{ cookie: 'session' }, { case: 'cookie', value: { name: 'session' } }],
])('%j: the choice is by its hash', (sticky, policySpecifier) => {
  const { hash, weighted } = actionOf(sticky);
  expect(hash).toMatchObject([{ policySpecifier, terminal: true }]);
  expect(weighted.$unknown).toEqual([{ no: 5, wireType: 2, data: Uint8Array.of(2, 8, 1) }]);
});

test('without it by chance', () => {
  const { hash, weighted } = actionOf(undefined);
  expect([hash, weighted.$unknown]).toEqual([[], undefined]);
});
