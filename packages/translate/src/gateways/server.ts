import { type ApiListener, covers, type Protocol, type Resource, type TlsProtocol } from '@outrigger/resources';
import { isHttp } from '../protocols.ts';

/** A host that a server takes, and from which namespaces routes for it may come ("*": any). */
export interface ServerHost {
  readonly namespace: string;
  readonly host: string;
}

/** TLS that a gateway ends by certificates of its machine, or (`mesh`) by its own identity, or looks only at the name of. */
export type ServerTls =
  | { readonly kind: 'passthrough' }
  | { readonly kind: 'auto-passthrough' }
  | { readonly kind: 'mesh' }
  | {
      readonly kind: 'terminate';
      /** SDS names, one for each certificate. */
      readonly certificates: readonly string[];
      /** SDS name of the authorities of clients; undefined: none is asked for a certificate. */
      readonly clientAuthorities: string | undefined;
      readonly requireClientCertificate: boolean;
      readonly subjectAltNames: readonly string[];
      readonly minProtocol: TlsProtocol;
      readonly maxProtocol: TlsProtocol;
      readonly cipherSuites: readonly string[];
    };

/** One server of a gateway, in whichever API it was written. */
export interface GatewayServer {
  /** The resource that has it, and where. */
  readonly gateway: Resource;
  readonly field: string;
  /** As routes name their gateway: "NAMESPACE/NAME". */
  readonly name: string;
  /** As the resource has it. */
  readonly port: number;
  readonly portName: string;
  readonly protocol: Protocol;
  /** '' : where the gateway itself listens. */
  readonly bind: string;
  readonly hosts: readonly ServerHost[];
  readonly tls: ServerTls | undefined;
  readonly httpsRedirect: boolean;
  /** Of a Gateway API Gateway: what routes are attached to. */
  readonly listener?: ApiListener;
}

/** What servers that share a port have in common: how a connection is told to be one's or another's. */
export type Family = 'http' | 'tls' | 'tcp';

export function familyOf({ protocol, tls }: GatewayServer): Family {
  if (isHttp(protocol)) return 'http';
  return tls === undefined ? 'tcp' : 'tls';
}

/** Whether requests are routed one by one. */
export function routesRequests(server: GatewayServer): boolean {
  return isHttp(server.protocol) || (server.protocol === 'HTTPS' && (server.tls?.kind === 'mesh' || server.tls?.kind === 'terminate'));
}

/** Istio's names: "http.80", "https.443.PORTNAME.GATEWAY.NAMESPACE", with the address where it is not the gateway's. */
export function routeNameOf({ gateway, port, portName, bind, tls }: GatewayServer): string {
  const { namespace } = gateway.metadata;
  const name = gateway.kind === 'Gateway' ? gateway.metadata.name : `${gateway.kind.toLowerCase()}-${gateway.metadata.name}`;
  return `${tls === undefined ? `http.${port}` : `https.${port}.${portName}.${name}.${namespace}`}${bind === '' ? '' : `.${bind}`}`;
}

/** Hosts of a route of a namespace that a server takes: the narrower of two where one covers the other. */
export function sharedHosts(server: GatewayServer, hosts: readonly string[], namespace: string): readonly string[] {
  const shared = new Set<string>();
  for (const { host: serverHost, namespace: from } of server.hosts) {
    if (from !== '*' && from !== namespace) continue;
    for (const host of hosts) {
      if (covers(serverHost, host)) shared.add(host);
      else if (covers(host, serverHost)) shared.add(serverHost);
    }
  }
  return [...shared];
}
