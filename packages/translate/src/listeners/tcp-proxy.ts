import type { FilterSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import { filter, type Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { Connections } from '../tcp-route.ts';
import { accessLogs } from './access-log.ts';

/** As often as a request that cannot have reached anybody: before a byte of the application's has left. */
const CONNECT_ATTEMPTS = 4;

/** Connections that leave the workload, carried as they are. */
export function outboundTcpProxy(reader: Reader, statPrefix: string, { clusters, policy }: Connections): Init<typeof FilterSchema> {
  return filter('envoy.filters.network.tcp_proxy', TcpProxySchema, {
    statPrefix,
    clusterSpecifier: clusters,
    ...policy,
    maxConnectAttempts: CONNECT_ATTEMPTS,
    accessLog: accessLogs(reader, 'tcp', 'outbound'),
  });
}

/** All of them to one cluster. */
export function carriedTo(reader: Reader, cluster: string): Init<typeof FilterSchema> {
  return outboundTcpProxy(reader, cluster, { clusters: { case: 'cluster', value: cluster }, policy: {} });
}
