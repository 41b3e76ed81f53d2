import type { Resource } from '@outrigger/resources';
import { byAge } from '../mesh.ts';
import type { Reader } from '../reader.ts';
import type { ApiGateway } from './api/gateways.ts';
import { apiServers } from './api/servers.ts';
import { istioServers } from './istio-gateway.ts';
import { type Family, familyOf, type GatewayServer, routesRequests } from './server.ts';

/** What listens at one address, and the servers behind it. */
export interface GatewayPort {
  /** As it is bound. */
  readonly address: string;
  readonly port: number;
  /** As the resources have it. */
  readonly declaredPort: number;
  readonly family: Family;
  readonly servers: readonly GatewayServer[];
}

/**
 * The ports of a gateway, its servers merged: plain HTTP with plain HTTP, TLS with TLS of other hosts; of those that cannot share a port the
 * oldest has it, and the others are noted.
 */
export function gatewayPorts(reader: Reader): readonly GatewayPort[] {
  const ports = new Map<string, GatewayPort & { readonly servers: GatewayServer[] }>();
  const servers = [...istioServers(reader), ...apiServers(reader)].sort((a, b) => byAge(ownerOf(a), ownerOf(b)));
  for (const server of servers) {
    const { address, port } = boundAt(reader, server);
    const key = `${address} ${port}`;
    const present = ports.get(key);
    if (present === undefined) {
      ports.set(key, { address, port, declaredPort: server.port, family: familyOf(server), servers: [server] });
      continue;
    }
    const conflict = conflictOf(present, server);
    if (conflict === undefined) present.servers.push(server);
    else reader.ignored(server.gateway, server.field, `port ${server.port}: ${conflict}: the server is left out`);
  }
  return [...ports.values()];
}

/** A ListenerSet's listeners are its Gateway's. */
function ownerOf({ gateway }: GatewayServer): Resource {
  return (gateway as ApiGateway).of ?? gateway;
}

function boundAt({ node }: Reader, { bind, port }: GatewayServer): { readonly address: string; readonly port: number } {
  const binding = node.gateway;
  return { address: bind === '' ? (binding?.address ?? '0.0.0.0') : bind, port: binding?.portMap[port] ?? port + (binding?.portOffset ?? 0) };
}

/** Why the server cannot be behind the same port; undefined: it can. */
function conflictOf(present: GatewayPort, server: GatewayServer): string | undefined {
  const first = present.servers[0]!;
  const owner = `${first.name} (${first.field})`;
  const family = familyOf(server);
  const shares = family !== 'tcp' && server.listener === undefined && first.listener === undefined;
  if (present.declaredPort !== server.port && !shares) return `${present.port} stands for port ${present.declaredPort} here`;
  if (family !== present.family) return `${owner} serves ${first.protocol} there`;
  if (family === 'tcp') return `${owner} takes every connection there`;
  if (family === 'http') {
    const twin = present.servers.find(
      (other) => other.listener !== undefined && server.listener !== undefined && other.hosts[0]!.host === server.hosts[0]!.host,
    );
    return twin === undefined ? undefined : `${twin.name} (${twin.field}) has the host ${server.hosts[0]!.host} there`;
  }
  for (const other of present.servers) {
    const twice = server.hosts.find(({ host }) => other.hosts.some((one) => one.host === host));
    if (twice !== undefined) return `${other.name} (${other.field}) has the host ${twice.host} there`;
    const sameName = other.name === server.name && other.portName === server.portName;
    if (sameName && routesRequests(other) && routesRequests(server)) return `${other.field} has the port name ${server.portName} too`;
  }
  return undefined;
}
