import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { everyPair } from '../harness/planes.ts';

/** The same behaviours, whichever data plane stands on either side. */
describe.each(everyPair)('client beside %s, servers beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let client: RunningWorkload;
  let other: RunningWorkload;
  let v1: RunningWorkload;
  let v2: RunningWorkload;
  let key = 0;
  const orders = (path: string): string => `http://order-service:8080${path}`;
  /** How often a path reached either version. */
  const asked = async (path: string): Promise<number> => (await v1.count(path)) + (await v2.count(path));

  beforeAll(async () => {
    mesh = await TestMesh.start();
    [client, other, v1, v2] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'intruder', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'order-service', version: 'v1', dataPlane: serverPlane }),
      mesh.run({ name: 'order-service', version: 'v2', dataPlane: serverPlane }),
    ]);
    await until('a first answer', async () => (await client.call(orders('/echo'))).status === 200);
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  test('a request arrives with its method, path, body and headers, the identity of its caller, and a trace', async () => {
    const answer = await client.call(orders('/echo?a=b'), { method: 'POST', body: 'hello', headers: { 'x-mine': 'yes' } });
    expect(answer.status).toBe(200);
    const seen = JSON.parse(answer.body) as { method: string; path: string; body: string; headers: Record<string, string> };
    expect(seen).toMatchObject({ method: 'POST', path: '/echo?a=b', body: 'hello' });
    expect(seen.headers).toMatchObject({ 'x-mine': 'yes', host: 'order-service:8080' });
    expect(seen.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(seen.headers['x-forwarded-client-cert']).toContain('spiffe://cluster.local/ns/default/sa/web');
    expect(seen.headers['x-outrigger-peer']).toBeUndefined();
  });

  test('503, 503, 200 is retried to 200, and asked three times', async () => {
    const path = `/seq/${++key}/503`;
    // Two instances keep their own count, so the sequence is written as the sum of both.
    const answer = await client.call(orders(`/seq/only-${key}/503,200`));
    expect([200, 503]).toContain(answer.status);
    const failing = await client.call(orders(path));
    expect(failing.status).toBe(503);
    expect(await asked(path)).toBe(4);
    expect(failing.headers['proxy-status']).toBeDefined();
  });

  test('a 404 is asked once', async () => {
    const path = `/seq/${++key}/404`;
    expect((await client.call(orders(path))).status).toBe(404);
    expect(await asked(path)).toBe(1);
  });

  test('a POST that failed in the application is asked once', async () => {
    const path = `/seq/${++key}/503`;
    expect((await client.call(orders(path), { method: 'POST', body: 'x' })).status).toBe(503);
    expect(await asked(path)).toBe(1);
  });

  test('an unknown host is signed by the mesh', async () => {
    const answer = await client.call('http://no-such-service.invalid:8080/');
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(answer.headers['proxy-status'] ?? answer.headers['server']).toBeDefined();
  });

  test('a canary of 90/10 sends 8.8 to 11.2 % to v2, and the change of it holds', async () => {
    await mesh.apply(canary(90, 10));
    // Who draws is the client's sidecar: behind it one kind of server is enough for the great number.
    const total = serverPlane === 'outrigger' ? 10_000 : 1_000;
    const sigma = Math.sqrt((0.1 * 0.9) / total);
    const share = await shareOf(client, orders('/echo'), total);
    // Four sigma: 8.8 to 11.2 % of 10,000.
    expect(share).toBeGreaterThan(0.1 - 4 * sigma);
    expect(share).toBeLessThan(0.1 + 4 * sigma);
    await mesh.apply(canary(0, 100));
    expect(await shareOf(client, orders('/echo'), 200)).toBe(1);
    await mesh.delete('VirtualService', 'order-service');
  }, 120_000);

  test('a timeout of the route ends a slow call with 504', async () => {
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec:
  hosts: [order-service]
  http:
    - timeout: 0.3s
      retries: {attempts: 0}
      route: [{destination: {host: order-service}}]
`);
    const answer = await client.call(orders('/slow/2000'));
    expect(answer.status).toBe(504);
    expect(answer.headers['proxy-status']).toBeDefined();
    await mesh.delete('VirtualService', 'order-service');
  });

  test('routes match header, path and method', async () => {
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec:
  hosts: [order-service]
  http:
    - match: [{headers: {x-user: {exact: jason}}}, {uri: {prefix: /echo/v2}, method: {exact: PUT}}]
      route: [{destination: {host: order-service, subset: v2}}]
    - route: [{destination: {host: order-service, subset: v1}}]
---
${subsets}`);
    const version = async (path: string, options = {}): Promise<unknown> => (await client.call(orders(path), options)).headers['x-version'];
    expect(await version('/echo')).toBe('v1');
    expect(await version('/echo', { headers: { 'x-user': 'jason' } })).toBe('v2');
    expect(await version('/echo/v2', { method: 'PUT' })).toBe('v2');
    expect(await version('/echo/v2')).toBe('v1');
    await mesh.delete('VirtualService', 'order-service');
  });

  test('an AuthorizationPolicy lets web in and answers 403 to anybody else, mTLS and right CA notwithstanding', async () => {
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: orders-web-only}
spec:
  selector: {matchLabels: {app: order-service}}
  action: ALLOW
  rules:
    - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
`);
    expect((await client.call(orders('/echo'))).status).toBe(200);
    const refused = await other.call(orders('/echo'));
    expect(refused.status).toBe(403);
    expect(refused.headers['proxy-status']).toBeDefined();
    await mesh.delete('AuthorizationPolicy', 'orders-web-only');
    // An Envoy keeps the old policy on its open connections until they have drained (docs/xds.md, Bootstrap).
    await until('the other is let in again', async () => (await other.call(orders('/echo'))).status === 200, serverPlane === 'envoy' ? 5000 : 100);
  });

  test('STRICT refuses a plain-text caller, and the mesh goes on', async () => {
    const address = v1.meshAddress;
    expect((await fetch(`http://${address}/echo`)).status).toBe(200);
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`);
    await until(
      'plain text is refused',
      async () =>
        await fetch(`http://${address}/echo`).then(
          () => false,
          () => true,
        ),
      5000,
    );
    expect((await client.call(orders('/echo'))).status).toBe(200);
    await mesh.delete('PeerAuthentication', 'default', 'istio-system');
  });

  test("consecutive failures open the circuit, and the next answer is the mesh's own at once", async () => {
    await mesh.apply(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: order-service}
spec:
  host: order-service
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 3, interval: 100ms, baseEjectionTime: 1s, maxEjectionPercent: 100}
`);
    const path = `/seq/${++key}/500`;
    await until(
      'the circuit is open',
      async () => {
        const before = await asked(path);
        const answer = await client.call(orders(path), { method: 'POST' });
        return answer.status === 503 && (await asked(path)) === before;
      },
      5000,
    );
    await until('the circuit is closed again', async () => (await client.call(orders('/echo'))).status === 200, 10_000);
    await mesh.delete('DestinationRule', 'order-service');
  });
});

const subsets = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: order-service}
spec:
  host: order-service
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
`;

function canary(v1: number, v2: number): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: order-service}
spec:
  hosts: [order-service]
  http:
    - route:
        - {destination: {host: order-service, subset: v1}, weight: ${v1}}
        - {destination: {host: order-service, subset: v2}, weight: ${v2}}
---
${subsets}`;
}

/** Which share of `total` calls, 20 at a time, v2 answered. Fails on an answer other than 200. */
async function shareOf(client: RunningWorkload, url: string, total: number): Promise<number> {
  let left = total;
  let second = 0;
  const agent = new Agent({ keepAlive: true });
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await client.call(url, { agent });
      expect(answer.status).toBe(200);
      if (answer.headers['x-version'] === 'v2') second++;
    }
  };
  await Promise.all(Array.from({ length: 20 }, one));
  agent.destroy();
  return second / total;
}
