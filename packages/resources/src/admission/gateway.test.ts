import { expect, test } from 'vitest';
import type { GatewayServerSpec } from '../kinds/gateway.ts';
import type { ServerTlsSettings } from '../kinds/workloads.ts';
import { gatewayErrors } from './gateway.ts';

const http: GatewayServerSpec = { port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: ['*'] };
const https = (tls: ServerTlsSettings): GatewayServerSpec => ({ port: { number: 443, protocol: 'HTTPS', name: 'https' }, hosts: ['a.b'], tls });
const fields = (...servers: GatewayServerSpec[]): string[] => gatewayErrors({ servers }).map(({ field }) => field.replace('spec.servers[0].', ''));

test.each<readonly [string, GatewayServerSpec]>([
  ['plain HTTP', http],
  ['a redirect', { ...http, tls: { httpsRedirect: true } }],
  ['hosts of namespaces', { ...http, hosts: ['./*', '*/a.b', 'ns/*.a.b'] }],
  ['an address', { ...http, bind: '127.0.0.2' }],
  ['SIMPLE by name', https({ mode: 'SIMPLE', credentialName: 'c' })],
  ['SIMPLE by names', https({ mode: 'SIMPLE', credentialNames: ['c', 'd'] })],
  ['MUTUAL by files', https({ mode: 'MUTUAL', serverCertificate: '/c', privateKey: '/k', caCertificates: '/ca' })],
  ['several certificates', https({ mode: 'SIMPLE', tlsCertificates: [{ serverCertificate: '/c', privateKey: '/k' }] })],
  ['passthrough', https({ mode: 'PASSTHROUGH' })],
  ['mesh mTLS', https({ mode: 'ISTIO_MUTUAL' })],
  ['versions', https({ mode: 'SIMPLE', credentialName: 'c', minProtocolVersion: 'TLSV1_2', maxProtocolVersion: 'TLSV1_3' })],
])('%s is accepted', (_, server) => expect(fields(server)).toEqual([]));

test.each<readonly [string, GatewayServerSpec, readonly string[]]>([
  ['no host', { ...http, hosts: [] }, ['hosts']],
  ['a host that is none', { ...http, hosts: ['a_b/*', 'x/y/z', 'a.*'] }, ['hosts[0]', 'hosts[1]', 'hosts[2]']],
  ['a port that is none', { ...http, port: { ...http.port, number: 70_000 } }, ['port.number']],
  ['a protocol that is none', { ...http, port: { ...http.port, protocol: 'HTTQ' } }, ['port.protocol']],
  ['an address that is none', { ...http, bind: 'here' }, ['bind']],
  ['HTTPS without TLS', { ...https({}), tls: undefined as never }, ['tls']],
  ['TLS on plain HTTP', { ...http, tls: { mode: 'SIMPLE', credentialName: 'c' } }, ['tls.mode']],
  ['TLS on TCP', { ...http, port: { ...http.port, protocol: 'TCP' }, tls: { mode: 'SIMPLE', credentialName: 'c' } }, ['tls']],
  ['SIMPLE without a certificate', https({ mode: 'SIMPLE' }), ['tls.serverCertificate', 'tls.privateKey']],
  ['MUTUAL without authorities', https({ mode: 'MUTUAL', serverCertificate: '/c', privateKey: '/k' }), ['tls.caCertificates']],
  ['mesh mTLS with a certificate', https({ mode: 'ISTIO_MUTUAL', credentialName: 'c' }), ['tls.credentialName']],
  ['one name beside several', https({ mode: 'SIMPLE', credentialName: 'c', credentialNames: ['d'] }), ['tls.credentialNames']],
  [
    'versions upside down',
    https({ mode: 'SIMPLE', credentialName: 'c', minProtocolVersion: 'TLSV1_3', maxProtocolVersion: 'TLSV1_2' }),
    ['tls.minProtocolVersion'],
  ],
])('%s is refused', (_, server, expected) => expect(fields(server)).toEqual(expected));

test('so are no servers at all, and one name for two', () => {
  expect(fields()).toEqual(['spec.servers']);
  expect(fields(http, http)).toEqual(['spec.servers[1].port.name']);
});
