import { Resolver } from 'node:dns';
import type { Clock } from '../clock.ts';
import { type DnsServer, dnsServerOf } from './dns-client.ts';

/** Networks change; a machine's file of resolvers is read again so often. */
const READ_AGAIN_MS = 10_000;

/** The DNS servers of this machine, as of now. */
export function systemDnsServers(clock: Clock): () => readonly DnsServer[] {
  let servers: readonly DnsServer[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const sinceMs = clock.now() - readAtMs;
    // Below 0 where somebody has set the clock back.
    if (sinceMs < 0 || sinceMs >= READ_AGAIN_MS) {
      readAtMs = clock.now();
      servers = new Resolver().getServers().flatMap((text) => dnsServerOf(text) ?? []);
    }
    return servers;
  };
}
