import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { freePorts } from '../harness/ports.ts';
import { bootstrap, Children, GrpcClient, libraries } from './world.ts';

/** A service of plain gRPC servers that somebody else runs: what a person writes for it. */
function declared(name: string, ports: readonly number[], moreLabels = ''): string {
  const entry = (port: number, index: number) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}-${index + 1}}
spec: {address: 127.0.0.1, serviceAccount: ${name}, ports: {grpc: ${port}}, labels: {${moreLabels}app: ${name}, version: v${index + 1}}}
`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: grpc, protocol: GRPC}]
  workloadSelector: {labels: {app: ${name}}}
${ports.map(entry).join('')}`;
}

function split(name: string, v2: number): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec:
  hosts: [${name}]
  http:
    - route:
        - {destination: {host: ${name}, subset: v1}, weight: ${100 - v2}}
        - {destination: {host: ${name}, subset: v2}, weight: ${v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}}
spec:
  host: ${name}
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
`;
}

const CALLS = 1_000;

/** Six sigma of so many calls with a chance of `percent`. */
function near(count: number, percent: number): void {
  const share = percent / 100;
  const sigma = Math.sqrt(CALLS * share * (1 - share));
  expect(Math.abs(count - CALLS * share)).toBeLessThan(6 * sigma);
}

describe.each(libraries)('$name without a proxy', (library) => {
  describe.skipIf(library.command === undefined)('as the machine has it', () => {
    let mesh: TestMesh;
    const children = new Children();

    beforeAll(async () => {
      mesh = await TestMesh.start();
    });

    afterAll(async () => {
      await children.close();
      await mesh.stop();
    });

    const clientOf = async (identity: string, service: string, instance = identity) => {
      const { environment } = await bootstrap(children, mesh.state, ['--name', identity, '--instance', instance]);
      return new GrpcClient(children, library, `xds:///${service}:8080`, environment);
    };
    const startServer = async (service: string, instance: string, ...args: string[]) => {
      const [port] = await freePorts(1);
      const address = `127.0.0.1:${port}`;
      const { process, environment } = await bootstrap(children, mesh.state, [
        '--name',
        service,
        '--instance',
        instance,
        '--port',
        `grpc:8080:${port}`,
        ...args,
      ]);
      children.start([...library.command!, 'xds-server', address, instance], environment);
      await until(`${instance} is registered`, async () => (await mesh.api('GET', '/services')).body.includes(`/${instance}"`));
      return { agent: process, address };
    };
    const refusals = async () =>
      (JSON.parse((await mesh.api('GET', '/proxies')).body) as { refusal: string | null }[]).filter(({ refusal }) => refusal !== null);

    test('a client finds the endpoints, follows a canary and a change of it, and goes on with the control plane dead', async () => {
      const ports = await freePorts(2);
      for (const [index, port] of ports.entries()) children.start([...library.command!, 'server', `127.0.0.1:${port}`, `v${index + 1}`]);
      await mesh.apply(declared('plain', ports));
      const client = await clientOf('web', 'plain');
      const both = await client.ask(50);
      expect(both).toMatchObject({ errors: 0, lastError: '' });
      expect(Object.keys(both.instances).sort()).toEqual(['v1', 'v2']);

      await mesh.apply(split('plain', 10));
      // grpc-go uses new routes a moment before it has made the balancers of their clusters ("unknown cluster selected for RPC").
      await until('the new clusters are in use', async () => {
        const { errors, instances } = await client.ask(20);
        return errors === 0 && (instances['v2'] ?? 0) < 6;
      });
      const canary = await client.ask(CALLS);
      expect(canary).toMatchObject({ errors: 0, lastError: '' });
      near(canary.instances['v2'] ?? 0, 10);

      await mesh.apply(split('plain', 50));
      const half = await client.ask(CALLS);
      expect(half).toMatchObject({ errors: 0, lastError: '' });
      near(half.instances['v2'] ?? 0, 50);

      await mesh.apply(split('plain', 100));
      await until('v2 has all', async () => (await client.ask(20)).instances['v2'] === 20);
      expect(await client.ask(50)).toMatchObject({ errors: 0, instances: { v2: 50 } });

      await mesh.killControlPlane();
      expect(await client.ask(50)).toMatchObject({ errors: 0, instances: { v2: 50 } });
      await mesh.startControlPlane();
      await mesh.apply(split('plain', 0));
      await until('the client follows again', async () => (await client.ask(20)).instances['v1'] === 20, 30_000);
      expect(await refusals()).toEqual([]);
    });

    test('a server is registered while it runs, takes the mesh identity, and lets in whom the policy names', async () => {
      const { address, agent } = await startServer('greeter', 'greeter-1');
      const web = await clientOf('web', 'greeter', 'web-2');
      const other = await clientOf('other', 'greeter');
      expect(await web.ask(20)).toMatchObject({ errors: 0, instances: { 'greeter-1': 20 } });
      expect(await other.ask(20)).toMatchObject({ errors: 0, instances: { 'greeter-1': 20 } });
      // Plain text to the same port gets nowhere.
      const plain = new GrpcClient(children, library, address, {});
      expect(await plain.ask(3)).toMatchObject({ errors: 3, instances: {} });

      await mesh.apply(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: greeter-only-web}
spec:
  selector: {matchLabels: {app: greeter}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
      to: [{operation: {paths: ["/grpc.health.v1.Health/*"]}}]
`);
      await until('the other is refused', async () => (await other.ask(20)).errors === 20);
      expect(await web.ask(20)).toMatchObject({ errors: 0, instances: { 'greeter-1': 20 } });
      expect(await other.ask(20)).toMatchObject({ errors: 20, lastError: expect.stringMatching(/PermissionDenied|PERMISSION_DENIED/) });

      await startServer('greeter', 'greeter-2');
      await until('the second one is called', async () => ((await web.ask(20)).instances['greeter-2'] ?? 0) > 0);
      await children.end(agent);
      await until('the first one is left', async () => (await web.ask(20)).instances['greeter-2'] === 20);
      expect(await refusals()).toEqual([]);
    });

    test('a client refuses a server of another identity than its endpoint has', async () => {
      const { address } = await startServer('honest', 'honest-1');
      await mesh.apply(declared('impostor', [Number(address.split(':')[1])], 'security.istio.io/tlsMode: istio, '));
      const client = await clientOf('web', 'impostor', 'web-3');
      expect(await client.ask(3)).toMatchObject({ errors: 3, instances: {} });
      expect(await (await clientOf('web', 'honest', 'web-4')).ask(3)).toMatchObject({ errors: 0, instances: { 'honest-1': 3 } });
    });

    test('a client and a server outlive their certificates', async () => {
      const life = ['--certificate-ttl', '8'];
      await startServer('lasting', 'lasting-1', ...life);
      const { environment } = await bootstrap(children, mesh.state, ['--name', 'web', '--instance', 'web-5', ...life]);
      const certificate = join(dirname(environment['GRPC_XDS_BOOTSTRAP']!), 'certs/cert.pem');
      const client = new GrpcClient(children, library, 'xds:///lasting:8080', environment);
      const shown = new Set<string>();
      // Four certificates: the first has ended for good, and so has the server's.
      await until(
        'four certificates',
        async () => {
          expect(await client.ask(20)).toMatchObject({ errors: 0, lastError: '' });
          // A channel of its own shakes hands with the certificates of the moment.
          const fresh = new GrpcClient(children, library, 'xds:///lasting:8080', environment);
          expect(await fresh.ask(2)).toMatchObject({ errors: 0, lastError: '' });
          await fresh.end();
          return shown.add(readFileSync(certificate, 'utf8')).size >= 4;
        },
        40_000,
      );
    });

    const sidecars = ['outrigger', ...(peer('envoy') === undefined ? [] : ['envoy' as const])] as const;
    test.each(sidecars)('a client calls a service behind a sidecar (%s) under STRICT', async (dataPlane) => {
      const name = `behind-${dataPlane}`;
      const [port] = await freePorts(1);
      await mesh.run({
        name,
        dataPlane,
        client: true,
        args: ['--port', `grpc:8080:${port}`],
        command: () => [...library.command!, 'server', `127.0.0.1:${port}`, name],
      });
      await until(`${name} is registered`, async () => (await mesh.api('GET', '/services')).body.includes(`"${name}"`));
      await mesh.apply(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: ${name}}
spec: {selector: {matchLabels: {app: ${name}}}, mtls: {mode: STRICT}}
`);
      const client = await clientOf('web', name, `web-${dataPlane}`);
      expect(await client.ask(50)).toMatchObject({ errors: 0, lastError: '', instances: { [name]: 50 } });
      expect(await refusals()).toEqual([]);
    });
  });
});
