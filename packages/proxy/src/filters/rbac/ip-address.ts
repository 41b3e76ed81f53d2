import type { CidrRange as CidrRangeConfig } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { CompileReport } from '../../routing/compile-result.ts';

/** An address as four 32-bit words (IPv4 in the last one), parsed once per connection. Immutable. */
export class IpAddress {
  /** 4 or 6; 0: none (a Unix socket): in no range. */
  readonly family: 0 | 4 | 6;
  readonly words: readonly number[];

  constructor(family: 0 | 4 | 6, words: readonly number[]) {
    this.family = family;
    this.words = words;
  }
}

export const NO_ADDRESS = new IpAddress(0, [0, 0, 0, 0]);

function parseV4(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4) return -1;
  let word = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return -1;
    word = word * 256 + Number(part);
  }
  return word;
}

/** "10.0.0.1", "2001:db8::1" or "::ffff:10.0.0.1" (taken as IPv4), without port, brackets or zone. Anything else: NO_ADDRESS. */
export function parseIp(text: string): IpAddress {
  if (!text.includes(':')) {
    const word = parseV4(text);
    return word < 0 ? NO_ADDRESS : new IpAddress(4, [0, 0, 0, word]);
  }
  let source = text;
  const dotted = source.lastIndexOf(':') + 1;
  if (source.includes('.')) {
    const word = parseV4(source.slice(dotted));
    if (word < 0) return NO_ADDRESS;
    source = `${source.slice(0, dotted)}${(word >>> 16).toString(16)}:${(word & 0xffff).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return NO_ADDRESS;
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const left = groups(halves[0]);
  const right = groups(halves[1]);
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return NO_ADDRESS;
  const all = [...left, ...new Array<string>(missing).fill('0'), ...right];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return NO_ADDRESS;
  const values = all.map((group) => Number.parseInt(group, 16));
  const words = [0, 2, 4, 6].map((i) => values[i]! * 0x10000 + values[i + 1]!);
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return new IpAddress(4, [0, 0, 0, words[3]!]);
  return new IpAddress(6, words);
}

/** envoy.config.core.v3.CidrRange. */
export class CidrRange {
  readonly #family: 0 | 4 | 6;
  readonly #words: readonly number[];
  readonly #masks: readonly number[];

  constructor(address: IpAddress, prefixLength: number) {
    this.#family = address.family;
    const bits = address.family === 4 ? 96 + prefixLength : prefixLength;
    this.#masks = [0, 1, 2, 3].map((word) => {
      const ones = Math.min(32, Math.max(0, bits - word * 32));
      return ones === 0 ? 0 : (0xffffffff << (32 - ones)) >>> 0;
    });
    this.#words = address.words.map((word, i) => (word & this.#masks[i]!) >>> 0);
  }

  contains(address: IpAddress): boolean {
    if (address.family !== this.#family || this.#family === 0) return false;
    for (let i = 0; i < 4; i++) {
      if ((address.words[i]! & this.#masks[i]!) >>> 0 !== this.#words[i]) return false;
    }
    return true;
  }
}

export function compileCidr(config: CidrRangeConfig, path: string, report: CompileReport): CidrRange {
  const address = parseIp(config.addressPrefix);
  const longest = address.family === 4 ? 32 : 128;
  const length = config.prefixLen ?? 0;
  if (address.family === 0) report.error(`${path}.address_prefix`, `${JSON.stringify(config.addressPrefix)} is no IP address`);
  else if (length > longest) report.error(`${path}.prefix_len`, `must not be more than ${longest}`);
  return new CidrRange(address, length);
}
