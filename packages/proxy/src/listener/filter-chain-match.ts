import { CidrRange, type IpAddress, parseIp } from '../filters/rbac/ip-address.ts';
import type { CidrConfig, FilterChainConfig } from '../xds/listener-config.ts';
import type { ConnectionOrigin } from './connection-origin.ts';

interface Criteria {
  readonly origin: ConnectionOrigin;
  readonly destinationIp: IpAddress;
  readonly directSourceIp: IpAddress;
  readonly sourceIp: IpAddress;
}

interface Range {
  readonly range: CidrRange;
  readonly length: number;
}

interface Candidate {
  readonly chain: FilterChainConfig;
  readonly prefixes: readonly Range[];
  readonly directSource: readonly Range[];
  readonly source: readonly Range[];
}

/** Rank of one criterion: -1 does not match, 0 matches anything, more is more specific. */
type Rank = (candidate: Candidate, criteria: Criteria) => number;

function rankRanges(ranges: readonly Range[], ip: IpAddress): number {
  if (ranges.length === 0) return 0;
  let best = -1;
  for (const { range, length } of ranges) if (range.contains(ip)) best = Math.max(best, length + 1);
  return best;
}

function rankServerName(names: readonly string[], serverName: string): number {
  if (names.length === 0) return 0;
  let best = -1;
  for (const name of names) {
    if (name === serverName) return Number.MAX_SAFE_INTEGER;
    // "*.example.com" takes everything below it, however deep; the longest wins.
    if (name === '*') best = Math.max(best, 0);
    else if (name.startsWith('*.') && serverName.endsWith(name.slice(1))) best = Math.max(best, name.length);
  }
  return best;
}

/** Envoy's order of FilterChainMatch: each criterion narrows the list to its most specific matches, and never goes back. */
const ORDER: readonly Rank[] = [
  ({ chain }, criteria) => (chain.match.destinationPort === 0 ? 0 : chain.match.destinationPort === criteria.origin.localPort ? 1 : -1),
  ({ prefixes }, criteria) => rankRanges(prefixes, criteria.destinationIp),
  ({ chain }, criteria) => rankServerName(chain.match.serverNames, criteria.origin.serverName),
  ({ chain }, criteria) => (chain.match.transportProtocol === '' ? 0 : chain.match.transportProtocol === criteria.origin.transportProtocol ? 1 : -1),
  ({ chain }, criteria) => {
    const wanted = chain.match.applicationProtocols;
    return wanted.length === 0 ? 0 : criteria.origin.applicationProtocols.some((protocol) => wanted.includes(protocol)) ? 1 : -1;
  },
  ({ directSource }, criteria) => rankRanges(directSource, criteria.directSourceIp),
  ({ chain }, criteria) => (chain.match.sourceType === 'any' ? 0 : (chain.match.sourceType === 'local') === criteria.origin.local ? 1 : -1),
  ({ source }, criteria) => rankRanges(source, criteria.sourceIp),
  ({ chain }, criteria) => (chain.match.sourcePorts.length === 0 ? 0 : chain.match.sourcePorts.includes(criteria.origin.remotePort) ? 1 : -1),
];

export class FilterChainMatcher {
  readonly #candidates: readonly Candidate[];
  readonly #fallback: FilterChainConfig | null;
  /** The only chain, where it takes everything: most listeners. */
  readonly #only: FilterChainConfig | null;

  constructor(chains: readonly FilterChainConfig[], fallback: FilterChainConfig | null) {
    const ranges = (list: readonly CidrConfig[]): Range[] =>
      list.map(({ address, prefixLength }) => ({ range: new CidrRange(parseIp(address), prefixLength), length: prefixLength }));
    this.#candidates = chains.map((chain) => ({
      chain,
      prefixes: ranges(chain.match.prefixRanges),
      directSource: ranges(chain.match.directSourcePrefixRanges),
      source: ranges(chain.match.sourcePrefixRanges),
    }));
    this.#fallback = fallback;
    const { match } = chains[0] ?? {};
    const open =
      match !== undefined &&
      match.destinationPort === 0 &&
      match.transportProtocol === '' &&
      match.sourceType === 'any' &&
      [match.prefixRanges, match.directSourcePrefixRanges, match.sourcePrefixRanges, match.sourcePorts, match.serverNames, match.applicationProtocols].every(
        (list) => list.length === 0,
      );
    this.#only = chains.length === 1 && open ? chains[0]! : null;
  }

  /** null: the connection is closed (Envoy: no filter chain match). */
  match(origin: ConnectionOrigin): FilterChainConfig | null {
    if (this.#only !== null) return this.#only;
    const sourceIp = parseIp(origin.remoteIp);
    const criteria: Criteria = {
      origin,
      destinationIp: parseIp(origin.localIp),
      sourceIp,
      directSourceIp: origin.direct ? sourceIp : parseIp(origin.directRemoteIp),
    };
    let left = this.#candidates;
    for (const rank of ORDER) {
      let best = -1;
      let kept: Candidate[] = [];
      for (const candidate of left) {
        const value = rank(candidate, criteria);
        if (value < 0 || value < best) continue;
        if (value > best) {
          best = value;
          kept = [];
        }
        kept.push(candidate);
      }
      left = kept;
      if (left.length === 0) return this.#fallback;
    }
    return left[0]!.chain;
  }
}
