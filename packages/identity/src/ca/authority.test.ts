import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { BasicConstraintsExtension, type JsonGeneralNames, Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeKeyAndCsr } from '../agent/key-and-csr.ts';
import type { IdentityErrorCode } from '../identity-error.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { MemoryStore } from '../testing/memory-store.ts';
import { type Authority, createAuthority } from './authority.ts';
import { ROOT_RECORD_KEY } from './root-record.ts';

const WEB = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' };
const WEB_ID = 'spiffe://cluster.local/ns/default/sa/web';
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

let store: MemoryStore;
let clock: FakeClock;
let authority: Authority;
let csr: Uint8Array;

beforeAll(async () => {
  csr = (await makeKeyAndCsr(undefined)).csrDer;
});

beforeEach(async () => {
  store = new MemoryStore();
  clock = new FakeClock();
  authority = await createAuthority(store, clock, { trustDomain: 'cluster.local' });
});

function leafOf(chain: readonly string[]): X509Certificate {
  return new X509Certificate(chain[0]!);
}

function rejects(promise: Promise<unknown>, code: IdentityErrorCode): Promise<void> {
  return expect(promise).rejects.toMatchObject({ name: 'IdentityError', code });
}

async function csrWith(
  algorithm: webcrypto.AlgorithmIdentifier | object,
  names: JsonGeneralNames = [],
  more: BasicConstraintsExtension[] = [],
): Promise<Uint8Array> {
  const keys = (await webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const extensions = names.length === 0 ? more : [new SubjectAlternativeNameExtension(names), ...more];
  return new Uint8Array((await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm as webcrypto.EcdsaParams, extensions })).rawData);
}

describe('the root', () => {
  test('is an authority for its trust domain, for ten years', () => {
    const root = new X509Certificate(authority.trustBundle().rootsPem[0]!);
    expect(root.ca).toBe(true);
    expect(root.subjectAltName).toBe('URI:spiffe://cluster.local');
    expect(root.verify(root.publicKey)).toBe(true);
    expect(root.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect((root.validToDate.getTime() - clock.now()) / DAY).toBeCloseTo(3652.5, 0);
  });

  test('is the same after a restart', async () => {
    const again = await createAuthority(store, clock, { trustDomain: 'cluster.local' });
    expect(again.trustBundle()).toEqual(authority.trustBundle());
  });

  test('of another trust domain is not replaced', async () => {
    await rejects(createAuthority(store, clock, { trustDomain: 'other.local' }), 'store-corrupt');
  });

  test.each([
    'not json',
    '{}',
    '{"version":1,"trustDomain":"cluster.local","roots":[]}',
    '{"version":1,"trustDomain":"cluster.local","roots":[{"state":"signing"}]}',
  ])('broken in the store (%s) is an error, never a new root', async (text) => {
    store.values.set(ROOT_RECORD_KEY, Buffer.from(text));
    await rejects(createAuthority(store, clock, { trustDomain: 'cluster.local' }), 'store-corrupt');
    expect(Buffer.from(store.values.get(ROOT_RECORD_KEY)!).toString()).toBe(text);
  });
});

describe('sign', () => {
  test('gives an X.509-SVID: one URI, no CA, client and server, critical SAN', async () => {
    const issued = await authority.sign(csr, WEB);
    const leaf = leafOf(issued.certificateChainPem);
    expect(issued.spiffeId).toBe(WEB_ID);
    expect(leaf.subjectAltName).toBe(`URI:${WEB_ID}`);
    expect(leaf.subject).toBeFalsy();
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(leaf.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    const root = new X509Certificate(issued.trustBundlePem[0]!);
    expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true);
  });

  test('never gives the same serial number twice', async () => {
    const serials = await Promise.all(Array.from({ length: 20 }, async () => leafOf((await authority.sign(csr, WEB)).certificateChainPem).serialNumber));
    expect(new Set(serials).size).toBe(20);
  });

  test.each([
    [undefined, 24 * HOUR, 60 * SECOND],
    [HOUR, HOUR, 60 * SECOND],
    [10 * SECOND, 10 * SECOND, SECOND],
    [SECOND, SECOND, SECOND],
    [30 * DAY, 7 * DAY, 60 * SECOND],
  ])('a life of %s ms ends after %s ms and is backdated by at most %s ms', async (ttlMs, lifeMs, backdateMs) => {
    const issued = await authority.sign(csr, WEB, ttlMs);
    const leaf = leafOf(issued.certificateChainPem);
    expect(leaf.validToDate.getTime()).toBe(issued.notAfterMs);
    expect(leaf.validFromDate.getTime()).toBe(issued.notBeforeMs);
    expect(issued.notAfterMs - clock.now()).toBe(lifeMs);
    expect(clock.now() - issued.notBeforeMs).toBeLessThanOrEqual(backdateMs);
    expect(clock.now() - issued.notBeforeMs).toBeGreaterThan(0);
  });

  test('a life of one second asked for in the midst of a second is not cut short', async () => {
    clock.advance(900);
    const issued = await authority.sign(csr, WEB, SECOND);
    expect(issued.notAfterMs - clock.now()).toBe(1100);
  });

  test.each([0, 999, -1, Number.NaN])('refuses a life of %s ms', async (ttlMs) => {
    await rejects(authority.sign(csr, WEB, ttlMs), 'ttl-out-of-range');
  });

  test('never outlives the root', async () => {
    const rootEndMs = authority.roots()[0]!.notAfterMs;
    clock.advance(rootEndMs - clock.now() - HOUR);
    expect((await authority.sign(csr, WEB)).notAfterMs).toBe(rootEndMs);
    clock.advance(HOUR);
    await rejects(authority.sign(csr, WEB), 'root-expired');
  });

  test.each([
    ['P-256', EC],
    ['P-384', { ...EC, namedCurve: 'P-384' }],
    ['RSA 2048', { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }],
  ])('takes a key of %s', async (_name, algorithm) => {
    const request = await csrWith(algorithm, [{ type: 'url', value: WEB_ID }]);
    expect(leafOf((await authority.sign(request, WEB)).certificateChainPem).subjectAltName).toBe(`URI:${WEB_ID}`);
  });

  test.each([
    ['P-521', { ...EC, namedCurve: 'P-521' }, 'csr-key'],
    ['RSA 1024', { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, 'csr-key'],
    ['Ed25519', { name: 'Ed25519' }, 'csr-key'],
    ['SHA-1', { ...EC, hash: 'SHA-1' }, 'csr-signature'],
  ] as const)('refuses a request with %s', async (_name, algorithm, code) => {
    await rejects(
      csrWith(algorithm).then((request) => authority.sign(request, WEB)),
      code,
    );
  });

  test('refuses a request that its key did not sign', async () => {
    const forged = Uint8Array.from(csr);
    forged[forged.length - 1]! ^= 1;
    await rejects(authority.sign(forged, WEB), 'csr-signature');
    // Somebody else's public key in it.
    const other = (await makeKeyAndCsr(undefined)).csrDer;
    const mixed = Uint8Array.from(csr);
    const at = Buffer.from(csr).indexOf(Buffer.from([0x03, 0x42, 0x00, 0x04])) + 4;
    mixed.set(other.subarray(at, at + 64), at);
    await rejects(authority.sign(mixed, WEB), 'csr-signature');
  });

  test.each([
    ['another workload', [{ type: 'url', value: 'spiffe://cluster.local/ns/default/sa/admin' }]],
    [
      'two URIs',
      [
        { type: 'url', value: WEB_ID },
        { type: 'url', value: WEB_ID },
      ],
    ],
    [
      'a DNS name',
      [
        { type: 'url', value: WEB_ID },
        { type: 'dns', value: 'bank.example.com' },
      ],
    ],
    ['an address', [{ type: 'ip', value: '127.0.0.1' }]],
    ['a mail address', [{ type: 'email', value: 'a@b.c' }]],
  ] as [string, JsonGeneralNames][])('refuses a request that names %s', async (_name, names) => {
    await rejects(
      csrWith(EC, names).then((request) => authority.sign(request, WEB)),
      'csr-identity',
    );
  });

  test('gives no authority to who asks for one', async () => {
    const request = await csrWith(EC, [], [new BasicConstraintsExtension(true, 1, true)]);
    expect(leafOf((await authority.sign(request, WEB)).certificateChainPem).ca).toBe(false);
  });

  test.each([new Uint8Array(), new Uint8Array([0x30, 0x03, 1, 2, 3]), Buffer.from('-----BEGIN CERTIFICATE REQUEST-----')])(
    'refuses what is no PKCS#10',
    async (bytes) => {
      await rejects(authority.sign(bytes, WEB), 'csr-malformed');
    },
  );

  test('refuses a huge request before reading it', async () => {
    await rejects(authority.sign(new Uint8Array(8193), WEB), 'csr-too-large');
  });

  test.each([
    { ...WEB, trustDomain: 'other.local' },
    { ...WEB, namespace: '' },
    { ...WEB, namespace: 'a/sa/b' },
    { ...WEB, serviceAccount: 'Web' },
  ])('refuses the identity %j', async (identity) => {
    await rejects(authority.sign(csr, identity), 'identity-invalid');
  });

  test("never gives the control plane's identity to a workload", async () => {
    await rejects(authority.sign(csr, authority.controlPlaneIdentity), 'identity-reserved');
    await rejects(authority.check(csr, authority.controlPlaneIdentity), 'identity-reserved');
  });

  test('gives the control plane names to be reached by, and shows the root with it', async () => {
    const issued = await authority.signControlPlane(csr, { dnsNames: ['localhost', 'outrigger'], ipAddresses: ['127.0.0.1'] });
    expect(leafOf(issued.certificateChainPem).subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/istio-system/sa/outrigger, DNS:localhost, DNS:outrigger, IP Address:127.0.0.1',
    );
    expect(issued.certificateChainPem[1]).toBe(authority.trustBundle().rootsPem[0]);
  });
});

describe('rotation of the root', () => {
  test('trusts the new root before it signs, and the old one until what it signed has ended', async () => {
    const changes: number[] = [];
    authority.onTrustBundleChange((bundle) => changes.push(bundle.rootsPem.length));
    const before = await authority.sign(csr, WEB);
    const old = authority.roots()[0]!.fingerprint;

    await authority.prepareRoot();
    expect(authority.roots().map((root) => root.state)).toEqual(['signing', 'next']);
    const during = await authority.sign(csr, WEB);
    expect(during.trustBundlePem).toHaveLength(2);
    expect(leafOf(during.certificateChainPem).verify(new X509Certificate(before.trustBundlePem[0]!).publicKey)).toBe(true);

    await authority.activateRoot();
    expect(authority.roots().map((root) => root.state)).toEqual(['signing', 'retiring']);
    const after = await authority.sign(csr, WEB);
    expect(leafOf(after.certificateChainPem).verify(new X509Certificate(after.trustBundlePem[0]!).publicKey)).toBe(true);
    expect(leafOf(after.certificateChainPem).verify(new X509Certificate(before.trustBundlePem[0]!).publicKey)).toBe(false);

    const gone = new Promise((resolve) => authority.onTrustBundleChange(resolve));
    clock.advance(7 * DAY);
    expect(authority.trustBundle().rootsPem).toHaveLength(2);
    clock.advance(2 * SECOND);
    await gone;
    expect(authority.trustBundle().fingerprints).not.toContain(old);
    expect(authority.trustBundle().rootsPem).toHaveLength(1);
    expect(changes).toEqual([2, 1]);
  });

  test('is where it was after a restart', async () => {
    await authority.prepareRoot();
    await authority.activateRoot();
    const again = await createAuthority(store, clock, { trustDomain: 'cluster.local' });
    expect(again.roots()).toEqual(authority.roots());
  });

  test('is not in force when it cannot be stored', async () => {
    store.failure = new Error('disk full');
    await expect(authority.prepareRoot()).rejects.toThrow('disk full');
    expect(authority.trustBundle().rootsPem).toHaveLength(1);
    store.failure = undefined;
    await authority.prepareRoot();
    expect(authority.trustBundle().rootsPem).toHaveLength(2);
  });

  test('has its steps in order', async () => {
    await rejects(authority.activateRoot(), 'rotation-state');
    await authority.prepareRoot();
    await rejects(authority.prepareRoot(), 'rotation-state');
  });
});
