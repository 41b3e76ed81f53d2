import { clone } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { INBOUND_PASSTHROUGH_CLUSTER, parseInboundCluster, parseOutboundCluster } from '../cluster-name.ts';
import type { Reader } from '../reader.ts';
import { patchedBy } from './applied.ts';
import { mergedAny, mergeInto, PatchError } from './merge.ts';
import { attempt, decodedValue, type Patch, type PatchContext, patchesOf } from './patches.ts';

/** A cluster as EnvoyFilters leave it; also one that they add. */
export function patchedCluster(reader: Reader, name: string, made: Cluster | undefined): Cluster | undefined {
  return patchedBy(reader, () => (made === undefined ? addedCluster(reader, name) : changedCluster(reader, name, made)));
}

function changedCluster(reader: Reader, name: string, made: Cluster): Cluster | undefined {
  let cluster = made;
  for (const patch of patchesOf(reader, 'CLUSTER', contextOf(reader, name))) {
    if (!matches(reader, patch, name)) continue;
    if (patch.operation === 'REMOVE') {
      attempt(reader, patch, () => {});
      return undefined;
    }
    if (patch.operation === 'ADD') continue;
    if (patch.operation !== 'MERGE') {
      reader.ignored(patch.filter, `${patch.field}.patch.operation`, `a cluster is merged, added or removed, not ${patch.operation}`);
      continue;
    }
    attempt(reader, patch, (types) => {
      const next = clone(ClusterSchema, cluster);
      const value = decodedValue(patch, ClusterSchema, types);
      if (value.name !== '' && value.name !== name) throw new PatchError(`a patch cannot give the cluster ${name} another name`);
      const { transportSocket } = value;
      if (transportSocket !== undefined && next.transportSocketMatches.length > 0) {
        // Beside a choice of sockets none holds for all: the one of this name is meant.
        const socket = next.transportSocketMatches.find((one) => one.transportSocket?.name === transportSocket.name)?.transportSocket;
        const [present, patched] = [socket?.configType, transportSocket.configType];
        const config = present?.case === 'typedConfig' && patched.case === 'typedConfig' ? mergedAny(present.value, patched.value, types) : undefined;
        if (socket === undefined || config === undefined)
          throw new PatchError(`the cluster ${name} has no transport socket ${transportSocket.name} of this type`);
        socket.configType = { case: 'typedConfig', value: config };
        value.transportSocket = undefined as never;
      }
      mergeInto(ClusterSchema, next, value, types);
      cluster = next;
    });
  }
  return cluster;
}

function addedCluster(reader: Reader, name: string): Cluster | undefined {
  let cluster: Cluster | undefined;
  for (const patch of additions(reader)) {
    if (nameOf(patch) !== name || cluster !== undefined) continue;
    attempt(reader, patch, (types) => {
      cluster = decodedValue(patch, ClusterSchema, types);
    });
  }
  return cluster;
}

/** Names of the clusters that EnvoyFilters add for the node. */
export function addedClusterNames(reader: Reader): readonly string[] {
  return additions(reader)
    .map(nameOf)
    .filter((name) => name !== '');
}

function additions(reader: Reader): readonly Patch[] {
  const contexts: readonly PatchContext[] = reader.node.gateway === undefined ? ['SIDECAR_OUTBOUND', 'SIDECAR_INBOUND'] : ['GATEWAY'];
  const all = contexts.flatMap((context) => patchesOf(reader, 'CLUSTER', context)).filter(({ operation }) => operation === 'ADD');
  return [...new Set(all)];
}

export function nameOf({ value }: Patch): string {
  const name = typeof value === 'object' && value !== null && !Array.isArray(value) ? value['name'] : undefined;
  return typeof name === 'string' ? name : '';
}

function contextOf(reader: Reader, name: string): PatchContext {
  if (reader.node.gateway !== undefined) return 'GATEWAY';
  return parseInboundCluster(name) !== undefined || name === INBOUND_PASSTHROUGH_CLUSTER ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
}

function matches(reader: Reader, { match }: Patch, name: string): boolean {
  const { cluster } = match;
  if (cluster === undefined) return true;
  if ((cluster.name ?? '') !== '') return cluster.name === name;
  const outbound = parseOutboundCluster(name);
  const inbound = parseInboundCluster(name);
  if ((cluster.subset ?? '') !== '' && cluster.subset !== outbound?.subset) return false;
  if ((cluster.service ?? '') !== '') {
    const own = inbound === undefined ? outbound?.host : `${reader.node.service}.${reader.node.namespace}.svc.${reader.settings.domainSuffix}`;
    if (cluster.service !== own) return false;
  }
  return (cluster.portNumber ?? 0) === 0 || cluster.portNumber === (outbound?.port ?? inbound);
}
