import { parseDocuments } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { clientVerifier } from './client-certificate.ts';
import { untrustedServer, type WantedServer } from './server-certificate.ts';

/** For a.example.com, *.b.example.com and spiffe://mesh/ns/shop/sa/a, its own authority. */
const SERVER = `-----BEGIN CERTIFICATE-----
MIIBwDCCAWagAwIBAgIUU78ggLYN40yIxEP/UsSn8zMKK4wwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2VydmVyMB4XDTI2MTEyNzAzMTMxOVoXDTQ2MTEyMjAzMTMx
OVowETEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
dUMjzUYs4dGrw4cfyZWm/K/+6RUsrDVB4ZS59dy/q/+yCcbVROt3FoWDmH+TVy13
xia/KVWKywIumYP48LVUeqOBmzCBmDAdBgNVHQ4EFgQUu3YRaQh33DD65VcBWt08
mjtfEwgwHwYDVR0jBBgwFoAUu3YRaQh33DD65VcBWt08mjtfEwgwDwYDVR0TAQH/
BAUwAwEB/zBFBgNVHREEPjA8gg1hLmV4YW1wbGUuY29tgg8qLmIuZXhhbXBsZS5j
b22GGnNwaWZmZTovL21lc2gvbnMvc2hvcC9zYS9hMAoGCCqGSM49BAMCA0gAMEUC
ICBHz3ANbhJrlgq9QJsFp0x+QMOxdeYQSKM2DJ4ofwduAiEAsASA++ikQExAAEoI
nJQP9IYmXgnI0/v88T2Y1AazL40=
-----END CERTIFICATE-----
`;
const OTHER = `-----BEGIN CERTIFICATE-----
MIIBhzCCAS2gAwIBAgIUMV+bmUZWavE4PQCbKnl3hFRVfwUwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFb3RoZXIwHhcNMjYxMTI3MDMxMzE5WhcNNDYxMTIyMDMxMzE5
WjAQMQ4wDAYDVQQDDAVvdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDVn
lv4p8wFlksjZrQ8vFgbZ0Tfsg07CzKu1lqa2yZ9Cr0PdqukNBMAxk3yFZ2ENnufw
g9BbF58aolIyoGIUND6jZTBjMB0GA1UdDgQWBBRAVPcyH+hpHs3Bg3xB+C0NdVV/
3zAfBgNVHSMEGDAWgBRAVPcyH+hpHs3Bg3xB+C0NdVV/3zAPBgNVHRMBAf8EBTAD
AQH/MBAGA1UdEQQJMAeCBW90aGVyMAoGCCqGSM49BAMCA0gAMEUCIGBoDPEP5BAo
vEacgpFVV+wWuHvcazzdm35JNwTBk8rZAiEA0O2mM7VhYVYX9BoqZ6mviuOfmfXm
q80O2fTrkiw/TvQ=
-----END CERTIFICATE-----
`;

const secret = (name: string, certificate: string): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, data: { 'tls.crt': btoa(certificate) } });
const pod = (...secrets: string[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a-1', namespace: 'shop', labels: { app: 'a' } },
    spec: { volumes: secrets.map((secretName) => ({ name: secretName, secret: { secretName } })) },
  });
const deployment = (name: string): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'a', namespace: 'shop' },
    spec: { template: { metadata: { labels: { app: 'a' } }, spec: { volumes: [{ name, secret: { secretName: name } }] } } },
  });
const SERVICE = JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'shop' }, spec: { selector: { app: 'a' } } });
const dns = (name: string): WantedServer => ({ authorities: SERVER, names: [{ kind: 'dns', name }] });
const uri = (name: string): WantedServer => ({ authorities: SERVER, names: [{ kind: 'uri', name }] });
const secrets = [secret('server', SERVER), secret('other', OTHER), secret('broken', 'none')];

test.each<[string, readonly string[], WantedServer, string | undefined]>([
  ['by its name', [pod('server')], dns('a.example.com'), undefined],
  ['by a wildcard', [pod('server')], dns('x.b.example.com'), undefined],
  ['by its SPIFFE id', [pod('server')], uri('spiffe://mesh/ns/shop/sa/a'), undefined],
  ['of a Deployment', [deployment('server')], dns('a.example.com'), undefined],
  ['any of several', [pod('other', 'server')], dns('a.example.com'), undefined],
  ['by any name', [pod('server')], { authorities: SERVER, names: [] }, undefined],
  ['another name', [pod('server')], dns('b.example.com'), 'not for b.example.com'],
  ['another SPIFFE id', [pod('server')], uri('spiffe://mesh/ns/shop/sa/b'), 'not for spiffe://mesh/ns/shop/sa/b'],
  ['another authority', [pod('other')], dns('other'), 'not signed by an authority'],
  ['whose authorities are not of the files', [pod('other')], { authorities: undefined, names: [{ kind: 'dns', name: 'other' }] }, undefined],
  ['one that mounts none', [pod()], dns('nobody'), undefined],
  ['one that is no certificate', [pod('broken')], dns('nobody'), undefined],
])('the certificate of a server: %s', (_, workloads, wanted, why) => {
  const { documents } = parseDocuments([{ file: 'a.yaml', text: [SERVICE, ...secrets, ...workloads].join('\n---\n') }]);
  const found = untrustedServer(documents, 'a.shop.svc.cluster.local', wanted);
  if (why === undefined) expect(found).toBeUndefined();
  else expect(found).toContain(why);
});

test('a client is vouched for by any of several authorities, and by one that the files do not hold for all that they can tell', () => {
  const bundle = (name: string, certificate: string): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'shop' }, data: { 'ca.crt': certificate } });
  const { documents } = parseDocuments([{ file: 'a.yaml', text: [bundle('one', SERVER), bundle('two', OTHER)].join('\n---\n') }]);
  const refusal = (...names: string[]) =>
    clientVerifier(documents)({ pem: OTHER }, `kubernetes-gateway://${names.map((name) => `shop/${name}-cacert`).join()}`);
  expect([refusal('one', 'two'), refusal('two'), refusal('one', 'absent')]).toEqual([undefined, undefined, undefined]);
  expect(refusal('one')).toContain('not signed by an authority');
});
