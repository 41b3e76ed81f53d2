import type net from 'node:net';

const NO_TLV_BYTES = Buffer.alloc(0);

/** What is known of a connection before its filter chain is chosen: from the kernel, then from the listener filters. */
export class ConnectionOrigin {
  /** Where the client connected to, as the connection shows it or as a listener filter restored it. */
  localIp: string;
  localPort: number;
  /** The client: the other end, or whom the PROXY protocol names. */
  remoteIp: string;
  remotePort: number;
  /** The other end of the connection. */
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  /** Where the client connected to is not where the connection arrived. */
  restored = false;
  /** TLVs of a PROXY header as they came, that are to be passed on. */
  tlvs: Buffer = NO_TLV_BYTES;
  transportProtocol: 'raw_buffer' | 'tls' = 'raw_buffer';
  /** SNI in lower case, '' if none. */
  serverName = '';
  applicationProtocols: readonly string[] = [];

  constructor(localIp: string, localPort: number, remoteIp: string, remotePort: number) {
    this.localIp = localIp;
    this.localPort = localPort;
    this.remoteIp = remoteIp;
    this.remotePort = remotePort;
    this.directRemoteIp = remoteIp;
    this.directRemotePort = remotePort;
  }

  /** Nobody speaks for another. */
  get direct(): boolean {
    return this.remoteIp === this.directRemoteIp && this.remotePort === this.directRemotePort;
  }

  /** FilterChainMatch.source_type SAME_IP_OR_LOOPBACK. */
  get local(): boolean {
    return this.remoteIp === this.localIp || this.remoteIp === '::1' || this.remoteIp.startsWith('127.') || this.remoteIp.startsWith('::ffff:127.');
  }

  static of(socket: net.Socket): ConnectionOrigin {
    return new ConnectionOrigin(socket.localAddress ?? '', socket.localPort ?? 0, socket.remoteAddress ?? '', socket.remotePort ?? 0);
  }
}
