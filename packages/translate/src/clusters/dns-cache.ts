import { Cluster_DnsLookupFamily } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';

const MAX_HOSTS = 1024;

/** One cache for every dynamic forward proxy: Envoy wants the same settings wherever the name appears. */
export const dnsCache = { name: 'outbound', dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED, maxHosts: MAX_HOSTS } as const;
