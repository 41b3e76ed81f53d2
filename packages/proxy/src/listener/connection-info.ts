import { type IpAddress, parseIp } from '../filters/rbac/ip-address.ts';
import type { ConnectionFacts } from '../filters/rbac/rule.ts';
import type { SeriesSet } from '../observe/http-metrics.ts';
import { NO_PEER, type TlsPeer } from '../tls/peer.ts';
import { hostPort } from '../xds/compile-endpoints.ts';

export interface ConnectionInfoFields {
  readonly id: number;
  readonly localIp: string;
  readonly localPort: number;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly secure: boolean;
  readonly peer: TlsPeer;
  /** First URI of our own certificate. */
  readonly localUri: string;
  readonly serverName: string;
  readonly tlsVersion: string;
  readonly alpn: string;
}

/** Everything about an accepted connection that requests, policies and logs ask for; worked out once. */
export class ConnectionInfo implements ConnectionFacts {
  readonly id: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Without port. */
  readonly remoteHost: string;
  readonly destinationIp: IpAddress;
  readonly destinationPort: number;
  readonly directRemoteIp: IpAddress;
  readonly remoteIp: IpAddress;
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
    this.id = fields.id;
    this.localAddress = fields.localIp === '' ? '' : hostPort(fields.localIp, fields.localPort);
    this.remoteAddress = fields.remoteIp === '' ? '' : hostPort(fields.remoteIp, fields.remotePort);
    this.remoteHost = fields.remoteIp;
    this.destinationIp = parseIp(fields.localIp);
    this.destinationPort = fields.localPort;
    this.directRemoteIp = parseIp(fields.remoteIp);
    this.remoteIp = this.directRemoteIp;
    this.secure = fields.secure;
    this.mutual = fields.secure && fields.peer !== NO_PEER;
    this.peer = fields.peer;
    this.peerUris = fields.peer.names.uri;
    this.peerDnsNames = fields.peer.names.dns;
    this.peerSubject = fields.peer.subject;
    this.localUri = fields.localUri;
    this.requestedServerName = fields.serverName;
    this.tlsVersion = fields.tlsVersion;
    this.alpn = fields.alpn;
  }
}
