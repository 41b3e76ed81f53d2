import type { GrpcTarget } from '@outrigger/xds';
import { BootstrapError } from '../bootstrap/bootstrap-config.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import { secretsOf } from './cluster-subscription.ts';
import type { SecretSubscription } from './secret-subscription.ts';

/** Static cluster of the agent's SDS (docs/xds.md). */
export const SDS_CLUSTER = 'sds-grpc';
/** The secrets of the connection to the control plane. */
export const ADS_SECRETS_TIMEOUT_MS = 10_000;

/** Where the control plane is: the static cluster of ads_config. `spiffeIds`: who it may be where the connection is TLS. */
export function adsTarget(config: ClusterConfig, spiffeIds: readonly string[], secrets: SecretSubscription, tls: TlsContexts): GrpcTarget {
  const address = config.endpoints?.endpoints[0]?.address;
  if (address?.kind === 'pipe') return { socketPath: address.path };
  if (address?.kind !== 'socket') throw new BootstrapError('invalid', `static cluster ${config.name} has no address to connect to`);
  const settings = config.transportSocket;
  if (settings === null) return { host: address.host, port: address.port };
  return {
    host: address.host,
    port: address.port,
    tls: async () => {
      await secrets.ready(secretsOf(config), ADS_SECRETS_TIMEOUT_MS);
      const built = tls.client(settings);
      if (typeof built === 'string') throw new Error(built);
      return { secureContext: built.context, serverSpiffeId: spiffeIds[0]! };
    },
  };
}

/** Path of the agent's SDS; '': there is none. */
export function sdsPath(config: ClusterConfig | undefined): string {
  const address = config?.endpoints?.endpoints[0]?.address;
  return address?.kind === 'pipe' ? address.path : '';
}
