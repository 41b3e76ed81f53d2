export const TOKEN_BYTE = 1;
export const VALUE_BYTE = 2;
const ZERO = 48;

/** What a byte may be part of, as flags: 1 a token (RFC 9110 section 5.6.2), 2 a field value (section 5.5, obs-text passes). */
export const FIELD_BYTES: Uint8Array = fieldBytes();

function fieldBytes(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0x20; byte < 256; byte++) if (byte !== 0x7f) table[byte] = VALUE_BYTE;
  table[9] = VALUE_BYTE;
  const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (let i = 0; i < token.length; i++) table[token.charCodeAt(i)]! |= TOKEN_BYTE;
  return table;
}

/** Whether these bytes are a field value: no control but tab, no space or tab at either end (RFC 9113 section 8.2.1). */
export function isFieldValue(buffer: Buffer, start: number, end: number): boolean {
  if (start === end) return true;
  for (let p = start; p < end; p++) if ((FIELD_BYTES[buffer[p]!]! & VALUE_BYTE) === 0) return false;
  const first = buffer[start]!;
  const last = buffer[end - 1]!;
  return first !== 32 && first !== 9 && last !== 32 && last !== 9;
}

/** Digits of a Content-Length without zeros before them: "010" is 8 to a reader that guesses the base. */
export function canonicalLength(digits: string): string {
  return digits.length > 1 && digits.charCodeAt(0) === ZERO ? String(+digits) : digits;
}
