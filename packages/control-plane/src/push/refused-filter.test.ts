import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { afterEach, expect, test } from 'vitest';
import type { ResourceView } from '../api/shapes.ts';
import { startControlPlane } from '../control-plane.ts';
import { attach, credentialsOf, XdsClient } from '../testing/workload.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const filter = (name: string) => `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: { name: ${name} }
spec:
  configPatches:
    - applyTo: VIRTUAL_HOST
      patch: { operation: MERGE, value: { response_headers_to_add: [{ header: { key: x-${name}, value: a } }] } }
`;

test('what a proxy refuses of an EnvoyFilter is taken back, and the others stay in force', async () => {
  const stateDirectory = mkdtempSync(join(tmpdir(), 'cp-'));
  cleanups.push(() => rmSync(stateDirectory, { recursive: true, force: true }));
  const { addresses, stop } = await startControlPlane({ version: '1', stateDirectory, grpc: { port: 0 }, api: { port: 0 } });
  cleanups.push(stop);
  const call = <T>(method: string, path: string, body = ''): Promise<T> =>
    new Promise((resolve, reject) => {
      const headers = body === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const out = request({ socketPath: addresses.apiSocket, method, path: `/api/v1${path}`, headers, agent: false }, async (response) => {
        let text = '';
        for await (const chunk of response) text += String(chunk);
        resolve(JSON.parse(text) as T);
      });
      out.on('error', reject).end(body);
    });
  const apply = (text: string) => call('POST', '/apply', JSON.stringify({ documents: [{ file: 'filter.yaml', text }] }));
  const orders = await attach(addresses, await credentialsOf(addresses, 'order-service'), { name: 'order-service', version: 'v1' });
  cleanups.push(() => orders.end());
  const web = new XdsClient(addresses, await credentialsOf(addresses, 'web'), { name: 'web' });
  cleanups.push(() => web.ads.close());
  const added = (): readonly string[] =>
    ((web.seen.at(-1)?.added.at(-1)?.message as VirtualHost | undefined)?.responseHeadersToAdd ?? []).map(({ header }) => header!.key);
  web.ads.subscribe(VirtualHostSchema, ['http_proxy/order-service:8080'], web.handler('VHDS'));
  web.ads.start();
  await web.until(() => web.seen.length > 0);
  await apply(filter('good'));
  await web.until(() => added().includes('x-good'));
  let refusals = 0;
  web.verdict = () => {
    if (!added().includes('x-bad')) return undefined;
    refusals += 1;
    return { refused: 'no such header' };
  };
  await apply(filter('bad'));
  await web.until(() => refusals === 1 && !added().includes('x-bad'));
  expect(added()).toEqual(['x-good']);
  const views = await call<ResourceView[]>('GET', '/resources?kind=EnvoyFilter');
  const status = Object.fromEntries(views.map(({ name, status: { state, summary } }) => [name, { state, summary }]));
  expect(status).toMatchObject({
    bad: { state: 'quarantined', summary: expect.stringContaining('no such header') as string },
    good: { state: 'in-effect' },
  });
});
