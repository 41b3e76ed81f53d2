import { Resolver as Channel } from 'node:dns/promises';
import type { DnsSettings } from '../xds/cluster-config.ts';

interface Answer {
  readonly addresses: readonly string[];
  /** The shortest of the records. */
  readonly ttlMs: number;
}

const QUERY_TIMEOUT_MS = 2_000;
const QUERY_TRIES = 3;

/** Asks DNS servers themselves, those given or the system's, for what getaddrinfo does not tell: how long an answer holds. Rejects as node:dns does. */
export async function queryServers(host: string, { family, servers }: Pick<DnsSettings, 'family' | 'servers'>): Promise<Answer> {
  const channel = new Channel({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  if (servers.length > 0) channel.setServers(servers);
  const v4 = () => channel.resolve4(host, { ttl: true });
  const v6 = () => channel.resolve6(host, { ttl: true });
  switch (family) {
    case 'v4':
      return answerOf(await v4());
    case 'v6':
      return answerOf(await v6());
    case 'v4-preferred':
      return answerOf(await v4().catch(v6));
    case 'all': {
      const [four, six] = await Promise.allSettled([v4(), v6()]);
      if (four.status === 'rejected' && six.status === 'rejected') throw four.reason;
      return answerOf([...(six.status === 'fulfilled' ? six.value : []), ...(four.status === 'fulfilled' ? four.value : [])]);
    }
    case 'auto':
      return answerOf(await v6().catch(v4));
  }
}

function answerOf(records: readonly { readonly address: string; readonly ttl: number }[]): Answer {
  return { addresses: records.map(({ address }) => address), ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1000 };
}
