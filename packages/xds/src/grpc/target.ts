import type { SecureContext } from 'node:tls';

/** What one handshake with a server needs. Asked for anew at every connection, so that a rotated certificate is used. */
export interface ClientTls {
  /** Holds the client's certificate and key and the roots to trust (`ca`). */
  readonly secureContext: SecureContext;
  /** The only identity that the server may have (SAN URI): "spiffe://cluster.local/ns/istio-system/sa/outrigger". */
  readonly serverSpiffeId: string;
}

/** Where a gRPC server is: a Unix socket, or TCP with mTLS (without `tls` in the clear: loopback and tests). */
export type GrpcTarget =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: () => ClientTls | Promise<ClientTls> };

/** "unix:/run/ads.sock", "127.0.0.1:15010": for messages and logs. */
export function targetText(target: GrpcTarget): string {
  return 'socketPath' in target ? `unix:${target.socketPath}` : `${target.host}:${target.port}`;
}
