import type { TcpProxySchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { ResolvedDestination } from '../routes/destination.ts';
import type { Visibility } from '../visibility.ts';
import { effectivePolicy, mergedRules } from './traffic-policy.ts';

type TcpPolicy = Pick<Init<typeof TcpProxySchema>, 'tunnelingConfig' | 'hashPolicy'>;

/** What a DestinationRule says of connections that whoever carries them does: through the destination to somewhere else, and by whom an endpoint is chosen. */
export function tcpPolicy(reader: Reader, visibility: Visibility, { service, port, subset }: ResolvedDestination): TcpPolicy {
  if (service === undefined) return {};
  const merged = mergedRules(visibility, service);
  const { tunnel, loadBalancer } = effectivePolicy(merged, port, merged.subsets.get(subset));
  const bySource = loadBalancer?.value.consistentHash?.useSourceIp === true;
  for (const placed of [tunnel, bySource ? loadBalancer : undefined]) if (placed !== undefined) reader.uses(placed.rule);
  return {
    ...(bySource ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }] } : {}),
    ...(tunnel === undefined ? {} : { tunnelingConfig: tunneling(tunnel.value) }),
  };
}

function tunneling({ targetHost, targetPort, protocol }: { readonly targetHost: string; readonly targetPort: number; readonly protocol?: string }) {
  const host = targetHost.includes(':') ? `[${targetHost}]` : targetHost;
  return { hostname: `${host}:${targetPort}`, usePost: protocol?.toUpperCase() === 'POST' };
}
