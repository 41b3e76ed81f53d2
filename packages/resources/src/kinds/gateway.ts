import type { ServerTlsSettings } from './workloads.ts';

/** networking.istio.io Gateway. */
export interface GatewaySpec {
  /** Labels of the gateways' workloads, in any namespace; none: every gateway. */
  readonly selector?: Readonly<Record<string, string>>;
  readonly servers?: readonly GatewayServerSpec[];
}

export interface GatewayServerSpec {
  readonly name?: string;
  readonly port: { readonly number: number; readonly protocol: string; readonly name: string; readonly targetPort?: number };
  /** IP address or "unix:///path" to listen on instead of the gateway's own. */
  readonly bind?: string;
  /** "HOST" or "NAMESPACE/HOST"; the namespace ("." its own, "*" any) is that of the VirtualServices that may be bound. */
  readonly hosts: readonly string[];
  readonly tls?: ServerTlsSettings;
  readonly defaultEndpoint?: string;
}
