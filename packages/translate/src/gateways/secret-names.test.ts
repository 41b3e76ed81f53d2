import type { ServerTlsSettings } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { tlsOf } from './istio-gateway.ts';
import { parseSecretName, type SecretName } from './secret-names.ts';

const files = { serverCertificate: '/c', privateKey: '/k', caCertificates: '/ca' };

test.each<readonly [string, ServerTlsSettings, SecretName | undefined]>([
  ['files', { mode: 'MUTUAL', ...files }, { kind: 'authorities', authorities: '/ca', crl: '' }],
  ['files with what they revoked', { mode: 'OPTIONAL_MUTUAL', ...files, caCrl: '/crl' }, { kind: 'authorities', authorities: '/ca', crl: '/crl' }],
  ['a credential', { mode: 'MUTUAL', credentialName: 'shop' }, { kind: 'credential', name: 'shop-cacert', crl: '' }],
  ['a credential and a file', { mode: 'MUTUAL', credentialName: 'shop', caCrl: '/crl' }, { kind: 'credential', name: 'shop-cacert', crl: '/crl' }],
  ['nobody is asked', { mode: 'SIMPLE', ...files }, undefined],
])('who vouches for clients: %s', (_, settings, expected) => {
  const tls = tlsOf(settings);
  if (typeof tls === 'string' || tls.kind !== 'terminate') throw new Error('no TLS is ended');
  expect(tls.clientAuthorities === undefined ? undefined : parseSecretName(tls.clientAuthorities)).toEqual(expected);
});

test.each(['default', 'ROOTCA', 'file-cert:/c'])('%s is no name of a file', (name) => {
  expect(parseSecretName(name)).toBeUndefined();
});
