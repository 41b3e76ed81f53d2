/** PEM with the parts of a certificate that are looked at: version, serial number, algorithm, issuer, validity ("20260101000000Z"). */
export function certificatePem(from: string, until: string): string {
  const time = (text: string): number[] => [0x18, 0x0f, ...Array.from(text, (character) => character.charCodeAt(0))];
  const bytes = [0x30, 0x2f, 0x30, 0x2d, 0xa0, 0x00, 0x02, 0x01, 0x01, 0x30, 0x00, 0x30, 0x00, 0x30, 0x22, ...time(from), ...time(until)];
  return `-----BEGIN CERTIFICATE-----\n${btoa(String.fromCharCode(...bytes))}\n-----END CERTIFICATE-----\n`;
}
