import type { DataPlane } from './mesh.ts';
import { peer } from './peers.ts';

export const envoy = peer('envoy');

type Pair = [client: DataPlane, server: DataPlane];

/** What stands beside the client and beside the server. */
export const everyPair: readonly Pair[] = [
  ['outrigger', 'outrigger'],
  ...(envoy === undefined
    ? []
    : ([
        ['envoy', 'outrigger'],
        ['outrigger', 'envoy'],
        ['envoy', 'envoy'],
      ] as Pair[])),
];

/** Each data plane once on either side. */
export const eachSide: readonly Pair[] =
  envoy === undefined
    ? [['outrigger', 'outrigger']]
    : [
        ['outrigger', 'envoy'],
        ['envoy', 'outrigger'],
      ];
