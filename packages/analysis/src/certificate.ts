/** Why a PEM file is no certificate, or one out of its time; undefined where nothing is wrong. Without a clock, time is not looked at. */
export function certificateProblem(pem: string, nowMs?: number): string | undefined {
  const validity = readValidity(pem);
  if (typeof validity === 'string') return validity;
  if (nowMs === undefined) return undefined;
  return nowMs < validity.fromMs ? 'it is not valid yet' : nowMs > validity.untilMs ? 'it has expired' : undefined;
}

/** When the first certificate of a PEM file expires; undefined: there is none. */
export function certificateExpiryMs(pem: string): number | undefined {
  const validity = readValidity(pem);
  return typeof validity === 'string' ? undefined : validity.untilMs;
}

/** Why a PEM file is no private key, or another certificate's; undefined where nothing is wrong, or it cannot be told. */
export function privateKeyProblem(pem: string, certificatePem: string): string | undefined {
  const key = derOf(pem, '(?:[A-Z]+ )?PRIVATE KEY');
  if (typeof key === 'string') return key === '' ? 'it has no private key in PEM' : key;
  const parts = elementsOf(key);
  if (parts?.length !== 1 || parts[0]?.tag !== SEQUENCE) return 'it is no private key';
  const certificate = derOf(certificatePem, 'CERTIFICATE');
  const [own, shown] = [rsaModulusOfKey(parts[0].bytes), typeof certificate === 'string' ? undefined : rsaModulusOfCertificate(certificate)];
  return own === undefined || shown === undefined || sameBytes(own, shown) ? undefined : 'it is the key of another certificate';
}

/** The first block of a sort in a PEM file; '' : there is none. */
function derOf(pem: string, type: string): Uint8Array | string {
  const body = new RegExp(`-----BEGIN ${type}-----([A-Za-z0-9+/=\\s]+)-----END ${type}-----`).exec(pem)?.[1];
  if (body === undefined) return '';
  try {
    return Uint8Array.from(atob(body.replaceAll(/\s/g, '')), (character) => character.charCodeAt(0));
  } catch {
    return 'it is no base64';
  }
}

interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A text says why there is none. */
function readValidity(pem: string): Validity | string {
  const der = derOf(pem, 'CERTIFICATE');
  if (typeof der === 'string') return der === '' ? 'it has no certificate in PEM' : der;
  return validityOf(der) ?? 'it is no X.509 certificate';
}

interface Element {
  readonly tag: number;
  readonly bytes: Uint8Array;
}

const SEQUENCE = 0x30;
const VERSION = 0xa0;
const UTC_TIME = 0x17;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;

/** A certificate's own fields: version (optional), serial number, algorithm, issuer, validity, subject, public key. */
function fieldsOf(bytes: Uint8Array): readonly Element[] | undefined {
  const certificate = elementsOf(bytes);
  if (certificate?.length !== 1 || certificate[0]?.tag !== SEQUENCE) return undefined;
  const signed = elementsOf(certificate[0].bytes)?.[0];
  const fields = signed?.tag === SEQUENCE ? elementsOf(signed.bytes) : undefined;
  return fields?.[0]?.tag === VERSION ? fields.slice(1) : fields;
}

function validityOf(bytes: Uint8Array): Validity | undefined {
  const validity = fieldsOf(bytes)?.[3];
  const times = validity?.tag === SEQUENCE ? elementsOf(validity.bytes) : undefined;
  if (times?.length !== 2) return undefined;
  const [fromMs, untilMs] = times.map(timeOf) as [number, number];
  return Number.isNaN(fromMs) || Number.isNaN(untilMs) ? undefined : { fromMs, untilMs };
}

/** RFC 8017 A.1.1: a public key is a modulus and an exponent. Of keys of another sort undefined. */
function rsaModulusOfCertificate(bytes: Uint8Array): Uint8Array | undefined {
  const publicKey = fieldsOf(bytes)?.[5];
  const bits = publicKey?.tag === SEQUENCE ? elementsOf(publicKey.bytes)?.[1] : undefined;
  const key = bits?.tag === BIT_STRING ? elementsOf(bits.bytes.subarray(1))?.[0] : undefined;
  const numbers = key?.tag === SEQUENCE ? elementsOf(key.bytes) : undefined;
  return numbers?.length === 2 && numbers[0]?.tag === INTEGER ? numbers[0].bytes : undefined;
}

/** RFC 8017 A.1.2: version, modulus and seven more numbers; in PKCS #8 (RFC 5208) within an octet string. */
function rsaModulusOfKey(bytes: Uint8Array): Uint8Array | undefined {
  const parts = elementsOf(bytes);
  const wrapped = parts?.[2]?.tag === OCTET_STRING ? elementsOf(parts[2].bytes)?.[0] : undefined;
  const numbers = wrapped === undefined ? parts : wrapped.tag === SEQUENCE ? elementsOf(wrapped.bytes) : undefined;
  return numbers !== undefined && numbers.length >= 9 && numbers.every(({ tag }) => tag === INTEGER) ? numbers[1]!.bytes : undefined;
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

/** The elements of DER that follow one another; undefined where a length leads out of the bytes. */
function elementsOf(bytes: Uint8Array): readonly Element[] | undefined {
  const elements: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? -1;
    at += 2;
    if (length > 0x84) return undefined;
    if (length > 0x7f) {
      const count = length - 0x80;
      length = 0;
      for (const byte of bytes.subarray(at, at + count)) length = length * 256 + byte;
      at += count;
    }
    if (length < 0 || at + length > bytes.length) return undefined;
    elements.push({ tag, bytes: bytes.subarray(at, at + length) });
    at += length;
  }
  return elements;
}

/** "YYMMDDHHMMSSZ", of 1950 to 2049, or "YYYYMMDDHHMMSSZ". */
function timeOf({ tag, bytes }: Element): number {
  const digits = String.fromCharCode(...bytes);
  const full = tag === UTC_TIME ? `${Number(digits.slice(0, 2)) < 50 ? '20' : '19'}${digits}` : digits;
  return Date.parse(full.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
