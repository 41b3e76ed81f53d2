import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { callAs, identityOf } from '../harness/impostor.ts';
import { type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { everyPair } from '../harness/planes.ts';
import { Wire } from '../harness/wire.ts';
import { svidOf, testAuthority } from '../xds/certificates.ts';

const strict = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
  namespace: istio-system
spec:
  mtls:
    mode: STRICT
`;

/** As people write it; the namespace may be left out. */
const lock = (namespace: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: payment-allow-order-only
${namespace}spec:
  selector:
    matchLabels:
      app: payment-service
  action: ALLOW
  rules:
    - from:
        - source:
            principals: ["cluster.local/ns/default/sa/order-service"]
`;

const canary = (namespace: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: order-service
${namespace}spec:
  hosts:
    - order-service
  http:
    - route:
        - destination:
            host: order-service
            subset: v1
          weight: 90
        - destination:
            host: order-service
            subset: v2
          weight: 10
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: order-service
${namespace}spec:
  host: order-service
  subsets:
    - name: v1
      labels:
        version: v1
    - name: v2
      labels:
        version: v2
`;

const ingressTls = (port: number, file: (name: string) => string): string => `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: payment-service}
spec:
  selector: {matchLabels: {app: payment-service}}
  mtls: {mode: DISABLE}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: payment-service}
spec:
  workloadSelector: {labels: {app: payment-service}}
  ingress:
    - port: {number: ${port}, name: https, protocol: HTTPS}
      tls: {mode: MUTUAL, serverCertificate: ${file('server.crt')}, privateKey: ${file('server.key')}, caCertificates: ${file('clients.crt')}}
`;

describe.each(everyPair)('identity and policy: clients beside %s, servers beside %s', (clientPlane, serverPlane) => {
  let mesh: TestMesh;
  let web: RunningWorkload;
  let order: RunningWorkload;
  let payment: RunningWorkload;
  const url = (path: string): string => `http://payment-service:8080${path}`;
  /** An Envoy keeps the old policy on its open connections until they have drained (docs/xds.md, Bootstrap). */
  const settleMs = serverPlane === 'envoy' ? 5000 : 500;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    [web, order, , payment] = await Promise.all([
      mesh.run({ name: 'web', client: true, dataPlane: clientPlane }),
      mesh.run({ name: 'order-service', version: 'v1', dataPlane: clientPlane }),
      mesh.run({ name: 'order-service', version: 'v2', dataPlane: serverPlane }),
      mesh.run({ name: 'payment-service', dataPlane: serverPlane }),
    ]);
    await until('a first answer', async () => (await web.call(url('/echo'))).status === 200);
  }, 60_000);
  afterAll(async () => {
    await mesh?.stop();
  }, 60_000);

  test('headers that speak of identity are the mesh’s own: what a caller writes into them reaches nobody', async () => {
    const forged = {
      'x-outrigger-peer': 'evil;default;evil;v9',
      'x-forwarded-client-cert': 'By=spiffe://cluster.local/ns/default/sa/x;URI=spiffe://cluster.local/ns/default/sa/root',
    };
    const seen = async (headers: Promise<string>): Promise<string> => JSON.stringify((JSON.parse(await headers) as { headers: object }).headers);
    const throughMesh = await seen(web.call(url('/echo'), { headers: forged }).then(({ body }) => body));
    expect(throughMesh).not.toMatch(/evil|sa\/root|x-outrigger-peer/);
    expect(throughMesh).toContain('URI=spiffe://cluster.local/ns/default/sa/web');
    const inPlainText = await seen(fetch(`http://${payment.meshAddress}/echo`, { headers: forged }).then((answer) => answer.text()));
    expect(inPlainText).not.toMatch(/evil|x-forwarded-client-cert|x-outrigger-peer/);
    if (serverPlane === 'outrigger') {
      const metrics = await (await fetch(`http://${payment.metricsAddress}/metrics`)).text();
      expect(metrics).not.toContain('evil');
      expect(metrics).toMatch(/istio_requests_total\{[^}]*source_workload="web"/);
    }
  });

  test('under STRICT a caller without mTLS, and one whose certificate a foreign authority signed, get nothing', async () => {
    const foreign = await testAuthority();
    const { privateKeyPem, certificateChainPem } = await svidOf(foreign, 'order-service');
    foreign.close();
    const forged = { key: privateKeyPem, cert: certificateChainPem.join('\n') };
    await mesh.apply(strict);
    await until('plain text is refused', async () => await plainTextIsRefused(payment.meshAddress), settleMs);
    // The very same call with what the mesh's authority signed is let in: the refusals below are for the signature alone.
    expect(await callAs(payment.meshAddress, '/as/order-service', identityOf(mesh.state, order.instance))).toMatchObject({ status: 200 });
    for (const credentials of [forged, undefined]) {
      const refused = await callAs(payment.meshAddress, '/as/somebody', credentials);
      expect(refused.status).toBe(0);
      expect(refused.error).not.toBe('');
    }
    expect(await payment.count('/as/order-service')).toBe(1);
    expect(await payment.count('/as/somebody')).toBe(0);
    expect((await web.call(url('/echo'))).status).toBe(200);
    await mesh.delete('PeerAuthentication', 'default', 'istio-system');
  });

  test('a server whose certificate is not that of its endpoint’s service account is not talked to', async () => {
    const entry = (name: string, serviceAccount: string): string => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}}
spec:
  hosts: [${name}.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: ${name}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}}
spec:
  address: 127.0.0.1
  serviceAccount: ${serviceAccount}
  ports: {http: ${payment.meshAddress.split(':')[1]}}
  labels: {app: ${name}, security.istio.io/tlsMode: istio}
`;
    await mesh.apply(`${entry('honest', 'payment-service')}---\n${entry('impostor', 'honest')}`);
    expect((await web.call('http://honest.example:8080/honest')).status).toBe(200);
    const refused = await web.call('http://impostor.example:8080/impostor');
    expect(refused.status).toBe(503);
    expect(refused.headers['proxy-status']).toContain('web.default');
    expect(await payment.count('/impostor')).toBe(0);
    await mesh.delete('WorkloadEntry', 'impostor');
    await mesh.delete('WorkloadEntry', 'honest');
  });

  // The server's side alone.
  if (clientPlane === 'outrigger')
    test("TLS of a Sidecar's ingress is ended with files of the machine: they are waited for, and only clients that they trust are taken", async () => {
      const authority = new TestAuthority('partners');
      const server = authority.issue({ commonName: 'payment' });
      const partner = authority.issue({ commonName: 'partner' });
      const stranger = new TestAuthority('strangers').issue({ commonName: 'partner' });
      const file = (name: string): string => join(mesh.state, name);
      await mesh.apply(ingressTls(payment.applicationPort, file));
      const problems = async (): Promise<string> => (await mesh.api('GET', '/problems')).body;
      await until('the missing files are said', async () => (await problems()).includes(`there is no ${file('server.crt')}`));
      const as = (credentials: typeof partner | undefined) =>
        callAs(payment.meshAddress, '/as/partner', credentials && { cert: credentials.chainPem, key: credentials.keyPem });
      expect((await as(partner)).status).toBe(0);
      writeFileSync(file('server.key'), server.keyPem);
      writeFileSync(file('clients.crt'), authority.pem);
      writeFileSync(file('server.crt'), server.chainPem);
      await until('the certificate is shown', async () => (await as(partner)).status === 200);
      expect((await as(partner)).serverSerial).toBe(new X509Certificate(server.chainPem).serialNumber);
      expect(await problems()).not.toContain('there is no ');
      const before = await payment.count('/as/partner');
      for (const credentials of [stranger, undefined]) expect((await as(credentials)).status).toBe(0);
      expect(await plainTextIsRefused(payment.meshAddress)).toBe(true);
      expect(await payment.count('/as/partner')).toBe(before);
      expect(await payment.count('/as/somebody')).toBe(0);
      await mesh.delete('Sidecar', 'payment-service');
      await mesh.delete('PeerAuthentication', 'payment-service');
      await until('web is let in again', async () => (await web.call(url('/echo'))).status === 200, settleMs);
    });

  test.each([
    ['without a namespace', ''],
    ['with a namespace', '  namespace: default\n'],
  ])('payment-allow-order-only %s: 403 for anybody but order-service, right certificate or not', async (_how, namespace) => {
    await mesh.apply(`${strict}---\n${lock(namespace)}`);
    await until('web is refused', async () => (await web.call(url('/echo'))).status === 403, settleMs);
    const path = `/as/${namespace === '' ? 'a' : 'b'}`;
    const refused = await web.call(url(path));
    expect(refused).toMatchObject({ status: 403, body: 'RBAC: access denied' });
    expect(refused.headers['proxy-status']).toContain('payment-service.default');
    expect(await payment.count(path)).toBe(0);
    expect((await order.call(url(path))).status).toBe(200);
    expect(await payment.count(path)).toBe(1);
    await mesh.delete('AuthorizationPolicy', 'payment-allow-order-only');
    await mesh.delete('PeerAuthentication', 'default', 'istio-system');
    await until('web is let in again', async () => (await web.call(url('/echo'))).status === 200, settleMs);
  });

  // Who draws is the client's sidecar: behind it one kind of server is enough.
  if (serverPlane === 'outrigger')
    test.each([
      ['without a namespace', ''],
      ['with a namespace', '  namespace: default\n'],
    ])('the canary of order-service %s is in effect as written', async (_how, namespace) => {
      await mesh.apply(canary(namespace));
      const calls = 400;
      let second = 0;
      for (let done = 0; done < calls; done += 20) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => web.call('http://order-service:8080/echo')));
        expect(answers.every(({ status }) => status === 200)).toBe(true);
        second += answers.filter(({ headers }) => headers['x-version'] === 'v2').length;
      }
      // Six sigma of 400 draws at 10 %.
      expect(Math.abs(second - calls * 0.1)).toBeLessThan(36);
      expect(second).toBeGreaterThan(0);
      await mesh.delete('VirtualService', 'order-service');
      await mesh.delete('DestinationRule', 'order-service');
    });
});

async function plainTextIsRefused(address: string): Promise<boolean> {
  const wire = await Wire.open(address);
  wire.send('GET /as/somebody HTTP/1.1\r\nHost: payment-service:8080\r\nConnection: close\r\n\r\n');
  const answer = await wire.rest();
  wire.close();
  return answer === '';
}
