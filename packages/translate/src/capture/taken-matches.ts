import type { CidrRange } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { FilterChain } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';

/** What the chains of a listener match, so that none matches what an older one does: an Envoy refuses a listener where two do. */
export class TakenMatches {
  readonly #taken = new Set<string>();

  /** The chain with what of its names and ranges is left; undefined: nothing is. */
  take(chain: FilterChain): FilterChain | undefined {
    const match = chain.filterChainMatch;
    if (match !== undefined) {
      match.prefixRanges = [...new Map(match.prefixRanges.map((range) => [networkOf(range), range])).values()];
      match.serverNames = [...new Set(match.serverNames)];
    }
    const ranges = match?.prefixRanges.map(networkOf) ?? [];
    const names = match?.serverNames ?? [];
    const rest = JSON.stringify([match?.transportProtocol ?? '', match?.applicationProtocols ?? []]);
    const isFree = (range: string, name: string): boolean => !this.#taken.has(`${range} ${name} ${rest}`);
    const someRanges = ranges.length === 0 ? [''] : ranges;
    if (match !== undefined && names.length > 0) {
      match.serverNames = names.filter((name) => someRanges.every((range) => isFree(range, name)));
      if (match.serverNames.length === 0) return undefined;
    } else if (match !== undefined && ranges.length > 0) {
      match.prefixRanges = match.prefixRanges.filter((_, index) => isFree(ranges[index]!, ''));
      if (match.prefixRanges.length === 0) return undefined;
    } else if (!isFree('', '')) return undefined;
    for (const range of someRanges) for (const name of names.length === 0 ? [''] : names) this.#taken.add(`${range} ${name} ${rest}`);
    return chain;
  }
}

const GROUPS = 8;

/** "10.1.2.3/8" and "10.9.9.9/8" are one network. */
function networkOf({ addressPrefix: address, prefixLen: length = 0 }: CidrRange): string {
  const six = address.includes(':');
  const value = six
    ? groupsOf(address).reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n)
    : address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n);
  return `${six ? 6 : 4}:${value >> BigInt((six ? 128 : 32) - length)}/${length}`;
}

function groupsOf(address: string): readonly string[] {
  const [head = '', tail] = address.split('::');
  const before = head.split(':').filter((group) => group !== '');
  const after = (tail ?? '').split(':').filter((group) => group !== '');
  return [...before, ...Array.from({ length: Math.max(0, GROUPS - before.length - after.length) }, () => '0'), ...after];
}
