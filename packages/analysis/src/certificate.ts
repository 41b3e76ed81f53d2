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

interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** A text says why there is none. */
function readValidity(pem: string): Validity | string {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (body === undefined) return 'it has no certificate in PEM';
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll(/\s/g, '')), (character) => character.charCodeAt(0));
    return validityOf(bytes) ?? 'it is no X.509 certificate';
  } catch {
    return 'it is no base64';
  }
}

interface Element {
  readonly tag: number;
  readonly bytes: Uint8Array;
}

const SEQUENCE = 0x30;
const VERSION = 0xa0;
const UTC_TIME = 0x17;

/** Certificate, its first part, and there: version (optional), serial number, algorithm, issuer, validity. */
function validityOf(bytes: Uint8Array): Validity | undefined {
  const certificate = elementsOf(bytes);
  if (certificate?.length !== 1 || certificate[0]?.tag !== SEQUENCE) return undefined;
  const signed = elementsOf(certificate[0].bytes)?.[0];
  const fields = signed?.tag === SEQUENCE ? elementsOf(signed.bytes) : undefined;
  const validity = fields?.[fields[0]?.tag === VERSION ? 4 : 3];
  const times = validity?.tag === SEQUENCE ? elementsOf(validity.bytes) : undefined;
  if (times?.length !== 2) return undefined;
  const [fromMs, untilMs] = times.map(timeOf) as [number, number];
  return Number.isNaN(fromMs) || Number.isNaN(untilMs) ? undefined : { fromMs, untilMs };
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
