import type { Instance } from '@outrigger/resources';
import { endpointAddress, isIp } from '../addresses.ts';
import { type Network, networkOfInstance, networkOfNode } from '../networks.ts';
import type { Reader } from '../reader.ts';
import type { LocatedEndpoint } from './locality.ts';
import { takesMeshTls } from './mesh-tls.ts';

interface EntryPoint {
  readonly address: string;
  readonly port: number;
}

/** Instances of another network that are in one place, and where that network is entered. */
interface RemoteGroup {
  readonly entries: readonly EntryPoint[];
  readonly locality: string;
  readonly weight: number;
}

/** Instances that the node reaches itself, and those that it reaches by the gateways of their network. */
export function byReach(
  reader: Reader,
  instances: readonly Instance[],
  port: number,
): { readonly near: readonly Instance[]; readonly far: readonly RemoteGroup[] } {
  const { networks } = reader.settings;
  if (networks.length === 0) return { near: instances, far: [] };
  const own = networkOfNode(networks, reader.node);
  const near: Instance[] = [];
  const groups = new Map<string, RemoteGroup>();
  for (const instance of instances) {
    const name = networkOfInstance(networks, instance);
    const network = name === '' || own === '' || name === own ? undefined : networks.find((one) => one.name === name);
    const entries = network === undefined ? [] : entriesOf(reader, network);
    if (entries.length === 0) {
      near.push(instance);
      continue;
    }
    // The gateway finds the service by the name in the mesh's TLS, and who is well is for here to know.
    if (!takesMeshTls(reader, instance, port) || instance.health !== 'HEALTHY') continue;
    const key = `${name} ${instance.locality}`;
    const before = groups.get(key)?.weight ?? 0;
    groups.set(key, { entries, locality: instance.locality, weight: before + (instance.weight || 1) });
  }
  return { near, far: [...groups.values()] };
}

/** The gateways of other networks beside the endpoints of one's own: each network weighs what its instances do. */
export function withGateways(near: readonly LocatedEndpoint[], far: readonly RemoteGroup[]): readonly LocatedEndpoint[] {
  // So that a weight can be divided among the gateways of a network.
  const scale = far.map(({ entries }) => entries.length).reduce(leastCommonMultiple, 1);
  return [
    ...near.map((one) => ({ ...one, endpoint: { ...one.endpoint, loadBalancingWeight: (one.endpoint.loadBalancingWeight ?? 1) * scale } })),
    ...far.flatMap(({ entries, locality, weight }) =>
      entries.map(
        ({ address, port }): LocatedEndpoint => ({
          locality,
          labels: {},
          endpoint: {
            hostIdentifier: { case: 'endpoint', value: { address: endpointAddress(address, port) } },
            loadBalancingWeight: (weight * scale) / entries.length,
            metadata: { filterMetadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } },
          },
        }),
      ),
    ),
  ];
}

function entriesOf(reader: Reader, { gateways }: Network): readonly EntryPoint[] {
  const found = gateways.flatMap(({ address, service, port }): EntryPoint[] =>
    service === ''
      ? [{ address, port }]
      : reader.instances(service).map((instance) => ({
          address: instance.address,
          port: instance.ports.find(({ servicePort }) => servicePort === port)?.meshPort ?? port,
        })),
  );
  const distinct = new Map(found.filter(({ address }) => isIp(address)).map((entry) => [`${entry.address} ${entry.port}`, entry]));
  return [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}
