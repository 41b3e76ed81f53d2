import type { LocalityLoadBalancerSetting } from '@outrigger/resources';
import { Cluster_LbPolicy, type ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { durationOf } from '../durations.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';
import type { EffectivePolicy } from './traffic-policy.ts';

type LbFields = Pick<Init<typeof ClusterSchema>, 'lbPolicy' | 'lbConfig'>;

/** A DestinationRule's, else the mesh's. */
export function localityLbSetting({ settings }: Reader, { loadBalancer }: EffectivePolicy): LocalityLoadBalancerSetting | undefined {
  return loadBalancer?.value.localityLbSetting ?? settings.localityLbSetting;
}

export function loadBalancer(reader: Reader, policy: EffectivePolicy): LbFields {
  const placed = policy.loadBalancer;
  const settings = placed?.value ?? {};
  const hash = settings.consistentHash;
  if (hash !== undefined) {
    if (hash.maglev !== undefined) {
      const { tableSize } = hash.maglev;
      return {
        lbPolicy: Cluster_LbPolicy.MAGLEV,
        lbConfig: { case: 'maglevLbConfig', value: tableSize === undefined ? {} : { tableSize: BigInt(tableSize) } },
      };
    }
    const minimum = hash.ringHash?.minimumRingSize ?? hash.minimumRingSize;
    return {
      lbPolicy: Cluster_LbPolicy.RING_HASH,
      lbConfig: { case: 'ringHashLbConfig', value: minimum === undefined ? {} : { minimumRingSize: BigInt(minimum) } },
    };
  }
  const warmup = settings.warmup ?? (settings.warmupDurationSecs === undefined ? undefined : { duration: settings.warmupDurationSecs });
  const window = warmup === undefined ? undefined : durationOf(reader, placed!.rule, `${placed!.field}.warmup.duration`, warmup.duration);
  const slowStart =
    window === undefined
      ? {}
      : {
          slowStartConfig: {
            slowStartWindow: window,
            ...(warmup?.minimumPercent == null ? {} : { minWeightPercent: { value: warmup.minimumPercent } }),
            ...(warmup?.aggression == null ? {} : { aggression: { defaultValue: warmup.aggression, runtimeKey: '' } }),
          },
        };
  // grpc-js knows least request not at all and grpc-go only behind a flag: both refuse the cluster.
  const wanted = settings.simple === undefined || settings.simple === 'UNSPECIFIED' || settings.simple === 'LEAST_CONN' ? 'LEAST_REQUEST' : settings.simple;
  if (reader.node.dataPlane === 'grpc') {
    if (placed !== undefined && wanted !== 'ROUND_ROBIN') reader.differs(placed.rule, `${placed.field}.simple`, 'gRPC clients balance round robin', 'grpc');
    return { lbPolicy: Cluster_LbPolicy.ROUND_ROBIN };
  }
  switch (wanted) {
    case 'ROUND_ROBIN':
      return { lbPolicy: Cluster_LbPolicy.ROUND_ROBIN, ...(window === undefined ? {} : { lbConfig: { case: 'roundRobinLbConfig', value: slowStart } }) };
    case 'RANDOM':
      return { lbPolicy: Cluster_LbPolicy.RANDOM };
    case 'PASSTHROUGH':
      reader.differs(
        placed!.rule,
        `${placed!.field}.simple`,
        'PASSTHROUGH needs the address that the application dialled, which a proxied request does not have; least request is used',
      );
      return { lbPolicy: Cluster_LbPolicy.LEAST_REQUEST };
    default:
      return { lbPolicy: Cluster_LbPolicy.LEAST_REQUEST, ...(window === undefined ? {} : { lbConfig: { case: 'leastRequestLbConfig', value: slowStart } }) };
  }
}
