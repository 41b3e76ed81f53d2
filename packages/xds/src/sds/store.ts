import type { Secret } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';

/** Where the SDS server takes secrets from: the agent's SVID ("default") and trust bundle ("ROOTCA"). */
export interface SecretStore {
  /** undefined: not there yet. The server waits with its answer. */
  get(name: string): Secret | undefined;
  /** Calls back with each name that changed, until the returned function is called. */
  onChange(listener: (name: string) => void): () => void;
  /** The names that clients are subscribed to, all of them, whenever that changes. */
  inUse?(names: ReadonlySet<string>): void;
}
