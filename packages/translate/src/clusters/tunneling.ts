import type { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { ResolvedDestination } from '../routes/destination.ts';
import type { Visibility } from '../visibility.ts';
import { effectivePolicy, mergedRules } from './traffic-policy.ts';

type Tunneling = Pick<Init<typeof TcpProxySchema>, 'tunnelingConfig'>;

/** How connections to a destination go through it to somewhere else, where its DestinationRule says so. */
export function tunneling(reader: Reader, visibility: Visibility, { service, port, subset }: ResolvedDestination): Tunneling {
  if (service === undefined) return {};
  const merged = mergedRules(visibility, service);
  const placed = effectivePolicy(merged, port, merged.subsets.get(subset)).tunnel;
  if (placed === undefined) return {};
  reader.uses(placed.rule);
  const { targetHost, targetPort, protocol } = placed.value;
  return {
    tunnelingConfig: { hostname: `${targetHost.includes(':') ? `[${targetHost}]` : targetHost}:${targetPort}`, usePost: protocol?.toUpperCase() === 'POST' },
  };
}
