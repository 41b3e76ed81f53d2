import { EMPTY_STREAM, type StreamInfo } from '@outrigger/telemetry';
import type { ConnectionInfo } from '../listener/connection-info.ts';
import type { TcpProxy } from '../tcp/tcp-proxy.ts';

/** What formats and access logs ask of a TCP connection. */
export function tcpRecord(proxy: TcpProxy): StreamInfo {
  return {
    ...connectionRecord(proxy.info),
    startTimeMs: proxy.startTimeMs,
    durationMs: proxy.endMs - proxy.startMs,
    responseFlags: proxy.responseFlags,
    responseCodeDetails: proxy.details,
    connectionTerminationDetails: proxy.details,
    bytesReceived: proxy.bytesReceived,
    bytesSent: proxy.bytesSent,
    upstreamCluster: proxy.cluster?.name ?? '',
    upstreamHost: proxy.host?.address ?? '',
    upstreamLocalAddress: proxy.upstreamLocal,
    upstreamPeerUri: proxy.peerUri,
  };
}

/** The same of a connection of which no more is known. */
export function connectionRecord(info: ConnectionInfo): StreamInfo {
  return {
    ...EMPTY_STREAM,
    downstreamLocalAddress: info.localAddress,
    downstreamRemoteAddress: info.remoteAddress,
    downstreamDirectRemoteAddress: info.directRemoteAddress,
    requestedServerName: info.requestedServerName,
    downstreamTlsVersion: info.tlsVersion,
    downstreamPeerUri: info.peer.uri,
    downstreamLocalUri: info.localUri,
    connectionId: info.id,
  };
}
