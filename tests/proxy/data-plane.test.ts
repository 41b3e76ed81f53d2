import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo } from '../../packages/proxy/src/testing/messages.ts';
import { ask, TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

describe.each(planes)('%s under a plain ADS server', (plane) => {
  let proxy: DataPlane;
  let one: TestApplication;
  let two: TestApplication;

  beforeAll(async () => {
    one = await TestApplication.start((_request, response) => response.end('one'));
    two = await TestApplication.start((_request, response) => response.end('two'));
    proxy = await DataPlane.start(plane, {
      listeners: { web: listenerJson('web', { routes: [routeTo('one')] }) },
      clusters: { one: clusterJson('one', { endpoints: [one.address] }), two: clusterJson('two', { endpoints: [two.address] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await one.close();
    await two.close();
  });

  test('serves, follows a change, and refuses what is wrong with the last good one kept', async () => {
    const address = `127.0.0.1:${proxy.port('web')}`;
    expect(await ask(address)).toMatchObject({ status: 200, body: 'one' });
    await proxy.apply({ listeners: { web: listenerJson('web', { routes: [routeTo('two')] }) } });
    await until('the change', async () => ((await ask(address)).body === 'two' ? true : undefined));
    await proxy.apply({ listeners: { web: { ...listenerJson('web', { routes: [routeTo('one')] }), listenerFilters: [{ name: 'nobody.knows.this' }] } } });
    await until('a refusal', () => (proxy.refusals.length > 0 ? true : undefined));
    expect(proxy.refusals.join()).toContain('nobody.knows.this');
    expect(await ask(address)).toMatchObject({ status: 200, body: 'two' });
  });
});
