import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, makeKeyAndCsr, systemClock } from '@outrigger/identity';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSecret } from './certificate-files.ts';
import { CertificateStore, joinedSecrets } from './certificate-store.ts';

const dayMs = 86_400_000;
interface Pair {
  readonly chainPem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
  readonly notAfterMs: number;
}

/** Any certificate will do. */
async function issue(): Promise<Pair> {
  const values = new Map<string, Uint8Array>();
  const put = async (key: string, value: Uint8Array) => void values.set(key, value);
  const authority = await createAuthority({ get: (key) => values.get(key), put }, systemClock(), { trustDomain: 'cluster.local' });
  const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
  const issued = await authority.sign(csrDer, { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'shop' });
  return { chainPem: issued.certificateChainPem.join(''), keyPem: privateKeyPem, authorityPem: issued.trustBundlePem.join(''), notAfterMs: issued.notAfterMs };
}

const [shop, other] = await Promise.all([issue(), issue()]);

/** Of any authority. */
const revocations = `-----BEGIN X509 CRL-----
MIGeMEcCAQEwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJdGVzdCByb290GA8yMDI2
MTEyNzAyMzUzNVoYDzIwMjYxMTI3MDQzNTM1WjAKBggqhkjOPQQDAgNHADBEAiBC
8UrMzcPFK8YHohRG73AhZEvSMNzjxlFz1Z0o+b5VtQIgNRQWuaj/fwUwCjGSVTg4
65M+R9SnILdXlQ5flpihRF8=
-----END X509 CRL-----
`;

let folder: string;
let store: CertificateStore | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'certificates-'));
});
afterEach(() => {
  store?.stop();
  rmSync(folder, { recursive: true });
});

const write = (files: Record<string, string>): void => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
};

describe('the files of a secret', () => {
  test.each<readonly [string, string, Record<string, string>]>([
    ['flat', 'kubernetes://shop', { 'shop.crt': shop.chainPem, 'shop.key': shop.keyPem }],
    ['as Kubernetes mounts them', 'kubernetes://shop', { 'shop/tls.crt': shop.chainPem, 'shop/tls.key': shop.keyPem }],
    ['of a namespace', 'kubernetes-gateway://ns/shop', { 'ns/shop.crt': shop.chainPem, 'ns/shop.key': shop.keyPem }],
    ['of a namespace, in the one folder', 'kubernetes-gateway://ns/shop', { 'shop.crt': shop.chainPem, 'shop.key': shop.keyPem }],
    ['authorities beside it', 'kubernetes://shop-cacert', { 'shop-cacert.crt': shop.authorityPem }],
    ['authorities in its folder', 'kubernetes://shop-cacert', { 'shop/ca.crt': shop.authorityPem }],
  ])('%s', (_, name, files) => {
    write(files);
    const found = readSecret(name, folder);
    expect(found!.fault).toBe('');
    expect(found!.material!.kind).toBe(name.endsWith('-cacert') ? 'authorities' : 'certificate');
  });

  test.each<readonly [string, string, Record<string, string>, string]>([
    ['absent', 'kubernetes://shop', {}, 'put the certificate and its key there'],
    ['without a key', 'kubernetes://shop', { 'shop.crt': shop.chainPem }, 'there is no'],
    ["with another's key", 'kubernetes://shop', { 'shop.crt': shop.chainPem, 'shop.key': other.keyPem }, 'is not the key of'],
    ['no certificate', 'kubernetes://shop', { 'shop.crt': 'hello', 'shop.key': shop.keyPem }, 'holds no certificate'],
    ['no key', 'kubernetes://shop', { 'shop.crt': shop.chainPem, 'shop.key': 'hello' }, 'holds no private key'],
    [
      'cut off',
      'kubernetes://shop',
      { 'shop.crt': shop.chainPem.replace(/[A-Za-z0-9+/=]{20}\n-----END/, '\n-----END'), 'shop.key': shop.keyPem },
      'holds no certificate',
    ],
    ['out of the folder', 'kubernetes://../shop', { 'shop.crt': shop.chainPem, 'shop.key': shop.keyPem }, 'is no name of a credential'],
    ['by a path that hangs on where one is', 'file-cert:shop.crt~shop.key', {}, 'is no absolute path'],
  ])('%s: said, with what to do', (_, name, files, fault) => {
    write(files);
    const found = readSecret(name, folder)!;
    expect(found.material).toBeUndefined();
    expect(found.fault).toContain(fault);
  });

  test("the agent's own secrets are none of them", () => {
    for (const name of ['default', 'ROOTCA']) expect(readSecret(name, folder)).toBeUndefined();
  });
});

describe('the store', () => {
  const made = (nowMs = 0): { readonly said: (readonly string[])[]; readonly changed: string[] } => {
    const said: (readonly string[])[] = [];
    const changed: string[] = [];
    store = new CertificateStore({ folder, onProblems: (problems) => said.push(problems), now: () => nowMs });
    store.onChange((name) => changed.push(name));
    return { said, changed };
  };
  const chainOf = (name: string): string => {
    const type = store!.get(name)?.type;
    const chain = type?.case === 'tlsCertificate' ? type.value.certificateChain?.specifier.value : undefined;
    return Buffer.from((chain as Uint8Array | undefined) ?? []).toString();
  };

  test('gives what comes later, and a new one in its place; a bad one does not take the good one away', () => {
    const { said, changed } = made();
    expect(store!.get('kubernetes://shop')).toBeUndefined();
    expect(said.at(-1)).toEqual([expect.stringMatching(/^certificate shop: there is no .* until then its server takes no connection$/)]);
    write({ 'shop.crt': shop.chainPem, 'shop.key': shop.keyPem });
    store!.look();
    expect([chainOf('kubernetes://shop'), said.at(-1), changed]).toEqual([shop.chainPem, [], ['kubernetes://shop']]);
    write({ 'shop.crt': other.chainPem });
    store!.look();
    expect(chainOf('kubernetes://shop')).toBe(shop.chainPem);
    expect(said.at(-1)).toEqual([expect.stringContaining('the one before it stays in use')]);
    write({ 'shop.key': other.keyPem });
    store!.look();
    expect([chainOf('kubernetes://shop'), said.at(-1), changed.length]).toEqual([other.chainPem, [], 2]);
    store!.look();
    expect(changed).toHaveLength(2);
  });

  test('trusts the authorities that are there while others are not, and all of them for as long as one is bad', () => {
    const name = 'kubernetes-gateway://ns/old-cacert,ns/new-cacert';
    const { said } = made();
    const bundle = (): string => {
      const type = store!.get(name)?.type;
      const pem = type?.case === 'validationContext' ? type.value.trustedCa?.specifier.value : undefined;
      return Buffer.from((pem as Uint8Array | undefined) ?? []).toString();
    };
    write({ 'old-cacert.crt': shop.authorityPem });
    expect(bundle()).toBe(shop.authorityPem);
    expect(said.at(-1)).toEqual([
      expect.stringMatching(/^certificate ns\/old-cacert,ns\/new-cacert: there is no .*new-cacert\.crt.*; the others are trusted$/),
    ]);
    write({ 'ns/new-cacert.crt': other.authorityPem });
    store!.look();
    expect([bundle(), said.at(-1)]).toEqual([`${shop.authorityPem}\n${other.authorityPem}`, []]);
    write({ 'old-cacert.crt': 'hello' });
    store!.look();
    expect(bundle()).toBe(`${shop.authorityPem}\n${other.authorityPem}`);
    expect(said.at(-1)).toEqual([expect.stringMatching(/holds no certificate.*; the one before it stays in use$/)]);
  });

  test('forgets what no listener names any more', () => {
    const { said } = made();
    store!.get('kubernetes://shop');
    store!.inUse(new Set(['kubernetes://shop', 'default']));
    expect(said.at(-1)).toHaveLength(1);
    store!.inUse(new Set(['default']));
    expect(said.at(-1)).toEqual([]);
  });

  test.each([
    [20, []],
    [13.5, ['ends in 13 days']],
    [0.5, ['ends within a day']],
    [-1, ['ended at']],
  ])('with %d days left says %j', (days, problems) => {
    write({ 'a.crt': shop.chainPem, 'a.key': shop.keyPem });
    const { said } = made(shop.notAfterMs - days * dayMs);
    expect(store!.get('kubernetes://a')).toBeDefined();
    expect((said.at(-1) ?? []).map((text) => problems.find((problem) => text.includes(problem)))).toEqual(problems);
  });

  test('serves what the authorities have revoked with them, from their folder and from a file that a Gateway names', () => {
    const { said } = made();
    const held = (name: string): readonly string[] => {
      const type = store!.get(name)?.type;
      const text = type?.case === 'validationContext' ? Buffer.from((type.value.crl?.specifier.value ?? []) as Uint8Array).toString() : '';
      return text.match(/-----BEGIN X509 CRL-----/g) ?? [];
    };
    const named = `kubernetes://shop-cacert~${join(folder, 'more.pem')}`;
    write({ 'shop/ca.crt': shop.authorityPem });
    expect([held('kubernetes://shop-cacert'), held(named)]).toEqual([[], []]);
    expect(said.at(-1)).toEqual([expect.stringContaining(`there is no ${join(folder, 'more.pem')}; until then its server takes no connection`)]);
    write({ 'shop/ca.crl': revocations, 'more.pem': revocations });
    store!.look();
    expect([held('kubernetes://shop-cacert').length, held(named).length, said.at(-1)]).toEqual([1, 2, []]);
    write({ 'more.pem': 'hello' });
    store!.look();
    expect([held(named).length, said.at(-1)]).toEqual([2, [expect.stringContaining('more.pem holds no list of revoked certificates')]]);
  });

  test('beside the identity: what that has is its own', () => {
    write({ 'shop.crt': shop.chainPem, 'shop.key': shop.keyPem });
    made();
    const joined = joinedSecrets({ get: (name) => (name === 'default' ? ({ name } as never) : undefined), onChange: () => () => {} }, store!);
    expect(joined.get('default')).toEqual({ name: 'default' });
    expect(joined.get('kubernetes://shop')).toBeDefined();
    expect(joined.get('nothing')).toBeUndefined();
  });
});
