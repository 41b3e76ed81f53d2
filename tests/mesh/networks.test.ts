import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RunningGateway, TestMesh, until } from '../harness/mesh.ts';
import { freePorts } from '../harness/ports.ts';

const EAST_WEST = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: east-west }
spec:
  selector: { istio: eastwest }
  servers: [{ port: { number: 15443, name: tls, protocol: TLS }, hosts: ["*.local"], tls: { mode: AUTO_PASSTHROUGH } }]
`;

test('two networks reach one another by their gateways, which see no more than the name, and the caller is known at the other end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'networks-'));
  const [west = 0, east = 0] = await freePorts(2);
  const file = join(folder, 'networks.yaml');
  const network = (port: number): string => `{ gateways: [{ address: 127.0.0.1, port: ${port} }] }`;
  writeFileSync(file, `networks:\n  west: ${network(west)}\n  east: ${network(east)}\n`);
  const mesh = await TestMesh.start(['--mesh-networks', file]);
  try {
    await mesh.apply(EAST_WEST);
    const on = (name: string): readonly string[] => ['--label', `topology.istio.io/network=${name}`];
    const gateway = (name: string, port: number): Promise<RunningGateway> =>
      mesh.gateway(name, name, 'outrigger', [...on(name), 'istio=eastwest', '--port-map', `15443=${port}`]);
    const [web, orders, eastern] = await Promise.all([
      mesh.run({ name: 'web', args: on('west') }),
      mesh.run({ name: 'order-service', args: on('east') }),
      gateway('east', east),
      gateway('west', west),
    ]);
    const called = async (from: typeof web, url: string): Promise<string> => {
      const { status, body } = await from.call(url);
      return status === 200 ? (/URI=(spiffe:[^;"]*)/.exec(JSON.stringify((JSON.parse(body) as { headers: object }).headers))?.[1] ?? '') : String(status);
    };
    await until('web to order-service', async () => (await called(web, 'http://order-service:8080/echo')) === 'spiffe://cluster.local/ns/default/sa/web');
    await until('order-service to web', async () => (await called(orders, 'http://web:8080/echo')) === 'spiffe://cluster.local/ns/default/sa/order-service');
    // It would let the connections end that it carries.
    await eastern.stop('SIGKILL');
    await until('the gateway to be missed', async () => (await called(web, 'http://order-service:8080/echo')) === '503');
    expect(await called(orders, 'http://web:8080/echo')).toBe('spiffe://cluster.local/ns/default/sa/order-service');
  } finally {
    await mesh.stop();
    rmSync(folder, { recursive: true });
  }
});
