import { expect, test } from 'vitest';
import { privateKeyProblem } from './certificate.ts';

const SEQUENCE = 0x30;
/** DER of a few short parts. */
const der = (tag: number, ...parts: readonly number[][]): number[] => {
  const bytes = parts.flat();
  return [tag, bytes.length, ...bytes];
};
const number = (value: number): number[] => der(0x02, [value]);
const pem = (type: string, bytes: readonly number[]): string => `-----BEGIN ${type}-----\n${btoa(String.fromCharCode(...bytes))}\n-----END ${type}-----\n`;
const empty = der(SEQUENCE);

/** With the public key of a modulus, or of another sort of key. */
const certificate = (modulus: number | undefined): string => {
  const key = modulus === undefined ? [0x04, 0x01, 0x01] : der(SEQUENCE, number(modulus), number(3));
  const publicKey = der(SEQUENCE, empty, der(0x03, [0], key));
  return pem('CERTIFICATE', der(SEQUENCE, der(SEQUENCE, number(1), empty, empty, empty, empty, publicKey), empty, der(0x03, [0])));
};
const rsaKey = (modulus: number): number[] => der(SEQUENCE, number(0), number(modulus), ...Array.from({ length: 7 }, () => number(1)));

test.each<[string, string, string, string | undefined]>([
  ['the key of the certificate', pem('RSA PRIVATE KEY', rsaKey(7)), certificate(7), undefined],
  ['wrapped', pem('PRIVATE KEY', der(SEQUENCE, number(0), empty, der(0x04, rsaKey(7)))), certificate(7), undefined],
  ['another', pem('RSA PRIVATE KEY', rsaKey(9)), certificate(7), 'it is the key of another certificate'],
  ['another, wrapped', pem('PRIVATE KEY', der(SEQUENCE, number(0), empty, der(0x04, rsaKey(9)))), certificate(7), 'it is the key of another certificate'],
  ['of another sort, of which it is not told', pem('EC PRIVATE KEY', der(SEQUENCE, number(1))), certificate(undefined), undefined],
  ['a certificate', certificate(7), certificate(7), 'it has no private key in PEM'],
  ['no DER', pem('PRIVATE KEY', [1, 2, 3]), certificate(7), 'it is no private key'],
  ['no base64', '-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n', certificate(7), 'it is no base64'],
])('a private key: %s', (_, key, shown, problem) => {
  expect(privateKeyProblem(key, shown)).toBe(problem);
});
