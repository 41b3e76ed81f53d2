import { createHash, generateKeyPairSync, type KeyObject, sign, X509Certificate } from 'node:crypto';
import type { CertificatePem, PeerRules } from '../../xds/tls-settings.ts';

/** DER (X.690): tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const ECDSA_SHA256 = sequence(Buffer.from('06082a8648ce3d040302', 'hex'));
const commonName = (text: string) => sequence(der(0x31, sequence(Buffer.from('0603550403', 'hex'), der(0x0c, Buffer.from(text)))));
const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\.\d+/g, '')}`));
const extension = (oid: string, value: Buffer) => sequence(Buffer.from(oid, 'hex'), der(0x04, value));

export interface CertificateNames {
  readonly uri?: readonly string[];
  readonly dns?: readonly string[];
  readonly email?: readonly string[];
  /** IPv4. */
  readonly ip?: readonly string[];
  readonly commonName?: string;
}

export interface CertificateLife {
  readonly from?: Date;
  readonly to?: Date;
}

const HOUR_MS = 3_600_000;
/** Two bytes, the first of them neither 0 nor negative: a DER integer has no other form. */
let serial = 0x100;

/** A CA of P-256 keys, for tests. */
export class TestAuthority {
  readonly #name: string;
  readonly #key: KeyObject;
  readonly pem: string;

  constructor(name = 'test root') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = name;
    this.#key = privateKey;
    const basicConstraints = extension('0603551d13', sequence(Buffer.from('0101ff', 'hex')));
    this.pem = this.#certificate(name, publicKey, [basicConstraints], {});
  }

  issue(names: CertificateNames, life: CertificateLife = {}): CertificatePem {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const uris = (names.uri ?? []).map((uri) => der(0x86, Buffer.from(uri)));
    const dns = (names.dns ?? []).map((name) => der(0x82, Buffer.from(name)));
    const emails = (names.email ?? []).map((name) => der(0x81, Buffer.from(name)));
    const ips = (names.ip ?? []).map((ip) => der(0x87, Buffer.from(ip.split('.').map(Number))));
    const alternatives = [...uris, ...dns, ...emails, ...ips];
    const extensions = alternatives.length === 0 ? [] : [extension('0603551d11', sequence(...alternatives))];
    return {
      chainPem: this.#certificate(names.commonName ?? 'test', publicKey, extensions, life),
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }

  /** Trust in this CA alone, for peers of these names (any, where there are none). */
  rules(...uris: readonly string[]): PeerRules {
    const sanMatchers = uris.map((uri) => ({ type: 'uri' as const, dnsName: '', matcher: { matches: (text: string) => text === uri }, text: `URI ${uri}` }));
    return { trustedCaPem: this.pem, sanMatchers, spkiSha256: [], certificateSha256: [], crlPem: '' };
  }

  /** A list of what this CA has revoked (RFC 5280 section 5.1). */
  revoke(...revoked: readonly CertificatePem[]): string {
    const now = Date.now();
    const serials = revoked.map(({ chainPem }) => Buffer.from(new X509Certificate(chainPem).serialNumber, 'hex'));
    const entries = serials.map((number) =>
      sequence(der(0x02, number[0]! >= 0x80 ? Buffer.concat([Buffer.alloc(1), number]) : number), time(new Date(now - HOUR_MS))),
    );
    const body = sequence(
      der(0x02, Buffer.from([1])),
      ECDSA_SHA256,
      commonName(this.#name),
      time(new Date(now - HOUR_MS)),
      time(new Date(now + HOUR_MS)),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
    );
    const list = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), sign('sha256', body, this.#key)));
    return `-----BEGIN X509 CRL-----\n${list.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END X509 CRL-----\n`;
  }

  #certificate(subject: string, publicKey: KeyObject, extensions: readonly Buffer[], life: CertificateLife): string {
    const from = life.from ?? new Date(Date.now() - HOUR_MS);
    const to = life.to ?? new Date(Date.now() + HOUR_MS);
    const body = sequence(
      der(0xa0, Buffer.from('020102', 'hex')),
      der(0x02, Buffer.from([serial >> 8, serial++ & 255])),
      ECDSA_SHA256,
      commonName(this.#name),
      sequence(time(from), time(to)),
      commonName(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    );
    const certificate = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), sign('sha256', body, this.#key)));
    return new X509Certificate(certificate).toString();
  }
}

/** As a configuration has them: lower-case hex of the certificate, base64 of its public key. */
export function hashesOf({ chainPem }: CertificatePem): { certificate: string; spki: string } {
  const certificate = new X509Certificate(chainPem);
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return { certificate: certificate.fingerprint256.replaceAll(':', '').toLowerCase(), spki: createHash('sha256').update(spki).digest('base64') };
}
