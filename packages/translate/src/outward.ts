import { fullHost } from '@outrigger/resources';
import { DYNAMIC_DNS_CLUSTER, outboundCluster, PASSTHROUGH_CLUSTER } from './cluster-name.ts';
import type { Reader } from './reader.ts';
import type { Visibility } from './visibility.ts';

/** The cluster for what is no service of the mesh: requests, whose host is known, or connections, whose address is. undefined: it is refused. */
export function outwardCluster(reader: Reader, visibility: Visibility, what: 'requests' | 'connections'): string | undefined {
  const { node, settings } = reader;
  const { outboundPolicy, sidecar } = visibility;
  if (outboundPolicy === 'REGISTRY_ONLY') return undefined;
  const proxy = sidecar?.spec.outboundTrafficPolicy?.egressProxy;
  if (sidecar !== undefined && proxy !== undefined)
    return outboundCluster(proxy.port?.number ?? 0, proxy.subset ?? '', fullHost(proxy.host, sidecar.metadata.namespace, settings.domainSuffix));
  // Where a request to a proxy was going its host says: the connection went to the proxy.
  const byHost = what === 'requests' && (outboundPolicy === 'ALLOW_ANY_DYNAMIC_DNS' || visibility.isForProxy);
  return byHost && node.capture !== undefined ? DYNAMIC_DNS_CLUSTER : PASSTHROUGH_CLUSTER;
}
