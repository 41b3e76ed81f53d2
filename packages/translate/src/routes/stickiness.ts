import { create } from '@bufbuild/protobuf';
import { type RouteAction_HashPolicySchema, type WeightedCluster, WeightedClusterSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Init } from '../messages.ts';
import type { RouteRule } from './rule.ts';

/** WeightedCluster.use_hash_policy (google.protobuf.BoolValue, field 5), which our generated messages are too old to have: true, with its length before it. */
const USE_HASH_POLICY = { no: 5, wireType: 2, data: Uint8Array.of(2, 8, 1) } as const;

/** By what each caller keeps its version; nothing else is hashed where the request has it. */
export function stickyPolicies({ sticky }: RouteRule): Init<typeof RouteAction_HashPolicySchema>[] {
  if (sticky?.header !== undefined) return [{ policySpecifier: { case: 'header', value: { headerName: sticky.header } }, terminal: true }];
  if (sticky?.cookie !== undefined) return [{ policySpecifier: { case: 'cookie', value: { name: sticky.cookie } }, terminal: true }];
  return [];
}

/** Makes the choice between weighted clusters one by hash. */
export function chooseByHash(weighted: Init<typeof WeightedClusterSchema>): WeightedCluster {
  const message = create(WeightedClusterSchema, weighted);
  message.$unknown = [USE_HASH_POLICY];
  return message;
}
