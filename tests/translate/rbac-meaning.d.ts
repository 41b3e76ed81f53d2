import type { RBAC } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
/** What RBAC may look at. */
export interface Call {
  readonly principal: string;
  readonly sourceIp: string;
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly sni: string;
  readonly path: string;
  /** With :method and :authority; lower case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Dynamic metadata by filter. */
  readonly metadata: Readonly<Record<string, unknown>>;
}
/** Whether any policy of the RBAC matches the call: what its action is then taken for. */
export declare function matches(rbac: RBAC, call: Call): boolean;
