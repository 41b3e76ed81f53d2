import { readResources } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { unresolvedSrv } from './unresolved-srv.ts';
import { worldOf } from './world.ts';

const entry = (host: string, srv?: string): string => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host.replaceAll('.', '-')}${srv === undefined ? '' : `, annotations: {outrigger.dev/srv: ${srv}}`}}
spec: {hosts: [${host}], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}
---
`;
const read = async (text: string) => (await readResources([{ file: 'a.yaml', text }])).resources;
const ORDERS = entry('orders.example', '_http._tcp.orders.example');

test('whose endpoints DNS alone knows is said, with no question asked', async () => {
  const resources = await read(ORDERS + entry('bank.example'));
  const told = 'endpoints of orders.example are there: they are SRV records, which the control plane looks up and this does not';
  expect(unresolvedSrv(resources)).toEqual([told]);
  expect(worldOf(resources, []).assumed).toEqual([told]);
  expect(worldOf(await read(entry('bank.example')), []).assumed).toEqual([]);
});

test('what a control plane has looked up is known', async () => {
  const resources = await read(ORDERS + entry('new.example', '_http._tcp.new.example'));
  expect(unresolvedSrv(resources, { '_http._tcp.orders.example': [] })).toEqual([expect.stringMatching(/^endpoints of new\.example are there/)]);
});

test('of many some are named', async () => {
  const resources = await read(Array.from({ length: 11 }, (_, index) => entry(`a${index}.example`, '_http._tcp.a.example')).join(''));
  expect(unresolvedSrv(resources)[0]).toContain('a7.example and 3 more are there');
});
