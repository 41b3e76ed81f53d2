import { field, type Instance, type JsonObject, list, text } from '@outrigger/resources';
import type { ProxyNode } from './node.ts';

/** Where another network is entered: by its address, or the service of the gateway. */
export interface NetworkGateway {
  readonly address: string;
  /** '' where `address` says it. */
  readonly service: string;
  readonly port: number;
}

/** Endpoints that reach one another; those outside reach them by a gateway. */
export interface Network {
  readonly name: string;
  /** Blocks of addresses that are of it. */
  readonly blocks: readonly string[];
  readonly gateways: readonly NetworkGateway[];
}

/** As Istio has it on pods and proxies. */
const NETWORK_LABEL = 'topology.istio.io/network';

/** Istio's MeshNetworks. */
export function networksOf(config: JsonObject): readonly Network[] {
  return Object.entries(field(config, 'networks') ?? {}).map(([name, network]) => ({
    name,
    blocks: list(field(network, 'endpoints')).flatMap((one) => text(field(one, 'fromCidr')) || []),
    gateways: list(field(network, 'gateways')).map((gateway) => ({
      address: text(field(gateway, 'address')),
      service: text(field(gateway, 'registryServiceName')).toLowerCase(),
      port: Number(field(gateway, 'port') ?? 0),
    })),
  }));
}

/** '' : none is known, which is near to everybody. */
export function networkOfInstance(networks: readonly Network[], { network, labels, address }: Pick<Instance, 'network' | 'labels' | 'address'>): string {
  return network || labels[NETWORK_LABEL] || blockOf(networks, address);
}

export function networkOfNode(networks: readonly Network[], { labels, inbound, gateway }: ProxyNode): string {
  return labels[NETWORK_LABEL] || blockOf(networks, inbound[0]?.mesh.host ?? gateway?.address ?? '');
}

function blockOf(networks: readonly Network[], address: string): string {
  const bits = bitsOf(address);
  return bits === undefined ? '' : (networks.find(({ blocks }) => blocks.some((block) => holds(block, bits)))?.name ?? '');
}

function holds(block: string, bits: string): boolean {
  const [address = '', length = ''] = block.split('/');
  const own = bitsOf(address);
  return own !== undefined && own.length === bits.length && /^\d{1,3}$/.test(length) && bits.startsWith(own.slice(0, Number(length)));
}

/** An address as "0" and "1", 32 or 128; undefined: it is none. */
function bitsOf(address: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return address.split('.').map(binary(8)).join('');
  if (!/^[\da-f:]*:[\da-f:]*$/i.test(address)) return undefined;
  const [front = '', back] = address.split('::');
  const groups = (side: string): string[] => (side === '' ? [] : side.split(':'));
  const ends = [...groups(front), ...groups(back ?? '')].length;
  const all = back === undefined ? groups(front) : [...groups(front), ...Array<string>(Math.max(0, 8 - ends)).fill('0'), ...groups(back)];
  return all.length === 8 ? all.map((group) => binary(16)(`0x${group || '0'}`)).join('') : undefined;
}

function binary(width: number): (number: string) => string {
  return (number) => Number(number).toString(2).padStart(width, '0');
}
