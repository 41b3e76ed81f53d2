import { type IpAddress, parseIp } from '../filters/rbac/ip-address.ts';
import type { ConnectionFacts } from '../filters/rbac/rule.ts';
import type { SeriesSet } from '../observe/http-metrics.ts';
import { NO_PEER, type TlsPeer } from '../tls/peer.ts';
import { hostPort } from '../xds/compile-endpoints.ts';
import type { ConnectionOrigin } from './connection-origin.ts';

/** What TLS says of a connection. */
export interface Security {
  readonly secure: boolean;
  readonly peer: TlsPeer;
  /** First URI of our own certificate. */
  readonly localUri: string;
  readonly tlsVersion: string;
  readonly alpn: string;
}

export const NOT_SECURE: Security = { secure: false, peer: NO_PEER, localUri: '', tlsVersion: '', alpn: '' };

export interface ConnectionInfoFields extends Security {
  readonly id: number;
  readonly origin: ConnectionOrigin;
}

/** Everything about an accepted connection that requests, policies and logs ask for; worked out once. */
export class ConnectionInfo implements ConnectionFacts {
  readonly id: number;
  readonly localAddress: string;
  /** It is where the client meant to go, which redirection or a balancer had hidden. */
  readonly restored: boolean;
  readonly remoteAddress: string;
  /** The other end of the connection, where a balancer before it spoke for another by the PROXY protocol. */
  readonly directRemoteAddress: string;
  /** Without port. */
  readonly remoteHost: string;
  readonly destinationIp: IpAddress;
  readonly destinationPort: number;
  readonly directRemoteIp: IpAddress;
  readonly remoteIp: IpAddress;
  /** TLVs of a PROXY header before it, for one to the upstream. */
  readonly tlvs: Buffer;
  readonly secure: boolean;
  /** TLS with a verified certificate of the client. */
  readonly mutual: boolean;
  readonly peer: TlsPeer;
  readonly peerUris: readonly string[];
  readonly peerDnsNames: readonly string[];
  readonly peerSubject: string;
  readonly localUri: string;
  readonly requestedServerName: string;
  readonly tlsVersion: string;
  readonly alpn: string;
  /** Element for x-forwarded-client-cert; made at the first request that needs it. */
  clientCertElement = '';
  /** Where its requests are counted, and for which x-outrigger-peer; kept by the metrics. */
  series: SeriesSet | null = null;
  seriesPeer = '';

  constructor(fields: ConnectionInfoFields) {
    const { origin } = fields;
    this.id = fields.id;
    this.localAddress = origin.localIp === '' ? '' : hostPort(origin.localIp, origin.localPort);
    this.remoteAddress = origin.remoteIp === '' ? '' : hostPort(origin.remoteIp, origin.remotePort);
    this.directRemoteAddress = origin.direct ? this.remoteAddress : hostPort(origin.directRemoteIp, origin.directRemotePort);
    this.restored = origin.restored;
    this.remoteHost = origin.remoteIp;
    this.destinationIp = parseIp(origin.localIp);
    this.destinationPort = origin.localPort;
    this.remoteIp = parseIp(origin.remoteIp);
    this.directRemoteIp = origin.direct ? this.remoteIp : parseIp(origin.directRemoteIp);
    this.tlvs = origin.tlvs;
    this.secure = fields.secure;
    this.mutual = fields.secure && fields.peer !== NO_PEER;
    this.peer = fields.peer;
    this.peerUris = fields.peer.names.uri;
    this.peerDnsNames = fields.peer.names.dns;
    this.peerSubject = fields.peer.subject;
    this.localUri = fields.localUri;
    this.requestedServerName = origin.serverName;
    this.tlsVersion = fields.tlsVersion;
    this.alpn = fields.alpn;
  }
}
