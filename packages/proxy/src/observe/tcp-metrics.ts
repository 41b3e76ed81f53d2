import { formatResponseFlags, type IstioMetrics, type TcpSeries } from '@outrigger/telemetry';
import type { TcpProxy, TcpRecorder } from '../tcp/tcp-proxy.ts';
import { destinationLabels, sourceLabels, sourceOf } from './http-metrics.ts';
import type { NodeIdentity } from './node-identity.ts';

/** istio_tcp_*. Counted when a connection opens and when it closes. */
export class TcpMetrics implements TcpRecorder {
  readonly #metrics: IstioMetrics;
  readonly #node: NodeIdentity;
  readonly #localUri: () => string;
  readonly #onClosed: (proxy: TcpProxy) => void;

  constructor(metrics: IstioMetrics, node: NodeIdentity, localUri: () => string, onClosed: (proxy: TcpProxy) => void) {
    this.#metrics = metrics;
    this.#node = node;
    this.#localUri = localUri;
    this.#onClosed = onClosed;
  }

  opened(proxy: TcpProxy): void {
    this.#series(proxy).opened.inc();
  }

  closed(proxy: TcpProxy): void {
    const series = this.#series(proxy);
    series.closed.inc();
    series.sentBytes.add(proxy.bytesSent);
    series.receivedBytes.add(proxy.bytesReceived);
    this.#onClosed(proxy);
  }

  #series(proxy: TcpProxy): TcpSeries {
    const { info, cluster, host } = proxy;
    const inbound = cluster?.name.startsWith('inbound|') ?? false;
    const peer = host?.peer ?? { workload: '', namespace: '', service: '', version: '' };
    return this.#metrics.tcp({
      reporter: inbound ? 'destination' : 'source',
      ...(inbound ? sourceLabels(sourceOf('', info.peer.uri), info.peer.uri) : sourceLabels(this.#node, proxy.upstreamSecure ? this.#localUri() : '')),
      ...(inbound ? destinationLabels(this.#node, info.localUri, cluster, '') : destinationLabels(peer, proxy.peerUri, cluster, '')),
      request_protocol: 'tcp',
      response_flags: formatResponseFlags(proxy.responseFlags),
      connection_security_policy: (inbound ? info.mutual : proxy.upstreamSecure) ? 'mutual_tls' : 'none',
    });
  }
}
