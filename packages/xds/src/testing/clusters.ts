import { create } from '@bufbuild/protobuf';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { packResource } from '../any/pack.ts';
import type { ResourceUpdate } from '../client/handler.ts';
import type { VersionedResource } from '../source.ts';

/** Another version of it with another timeout. */
export function cluster(name: string, seconds = 1): VersionedResource {
  return packResource(ClusterSchema, name, create(ClusterSchema, { name, connectTimeout: { seconds: BigInt(seconds) } }));
}

/** An update in short: "+added -removed". */
export function updateText(update: ResourceUpdate<unknown>): string {
  return [...update.added.map(({ name }) => `+${name}`).sort(), ...[...update.removed].sort().map((name) => `-${name}`)].join(' ');
}
