import { isIPv6 } from 'node:net';
import type { Trial } from './duel.ts';

/** What an Envoy does otherwise, since v3 has no word for it or an Envoy has none: each is on docs/xds.md. */
export interface KnownDifference {
  readonly what: string;
  readonly reason: string;
  readonly concerns: (trial: Trial) => boolean;
}

export const knownDifferences: readonly KnownDifference[] = [
  {
    what: 'a captured connection to an IPv6 address, for a port of any address',
    reason: 'an Envoy takes listeners of 0.0.0.0 for IPv4 alone, and a second address (::) is refused by one whose machine has no IPv6',
    concerns: ({ call, listener }) => listener === 'virtualOutbound' && isIPv6(call.address),
  },
];

/** What the test itself takes away, and so cannot see. */
export const unseen: readonly KnownDifference[] = [
  {
    what: 'a backend whose certificate nobody trusts',
    reason: 'clusters lead to a backend in plain text',
    concerns: ({ told }) => told.decision === 'invalid-backend' && told.explanation.some((line) => line.includes('is not trusted')),
  },
  {
    what: 'a connection to a port where a sidecar itself listens',
    reason: 'it listens elsewhere here',
    concerns: ({ call }) => call.port === 15_001 || call.port === 15_006,
  },
];
