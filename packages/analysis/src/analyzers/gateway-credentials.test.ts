import { expect, test } from 'vitest';
import { certificatePem } from '../testing/certificate.ts';
import { object, said } from '../testing/said.ts';
import { gatewayCredentials } from './gateway-credentials.ts';

const KEY = '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n';
const gateway = (credentialName: string): string =>
  object('Gateway', 'g', {
    spec: {
      selector: { app: 'edge' },
      servers: [{ port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: ['*'], tls: { mode: 'SIMPLE', credentialName } }],
    },
  });
const secret = (until: string, key = KEY): string =>
  object('Secret', 's', { data: { 'tls.crt': btoa(certificatePem('20260101000000Z', until)), 'tls.key': btoa(key) } });

test.each<[string, string, readonly string[]]>([
  ['in three weeks', gateway('s') + secret('20261220000000Z'), ['RIG0109 Secret default/s:3']],
  ['in two months', gateway('s') + secret('20270201000000Z'), []],
  ['it has, which is IST0161', gateway('s') + secret('20261101000000Z'), []],
  ['of nobody', gateway('t') + secret('20261220000000Z'), []],
  ['in the namespace that is named', gateway('istio-system/s') + secret('20261220000000Z'), ['RIG0109 Secret default/s:3']],
  ['with a key that is none', gateway('s') + secret('20270201000000Z', 'k'), ['RIG0113 Secret default/s:3']],
])('a certificate that expires: %s', async (_, yaml, expected) => {
  expect(await said(gatewayCredentials, yaml, { nowMs: Date.parse('2026-12-01') })).toEqual(expected);
});

test('without a clock nothing is told of time', async () => {
  expect(await said(gatewayCredentials, gateway('s') + secret('20261220000000Z'))).toEqual([]);
});
