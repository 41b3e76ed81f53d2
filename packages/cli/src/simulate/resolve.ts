import type { Service } from '@outrigger/resources';
import { meantHosts, type ProxyNode } from '@outrigger/translate';
import type { World } from './world.ts';

/** The address that a workload finds under a host name, as Kubernetes' DNS knows services; '' : one that belongs to nothing in the files. */
export function resolveHost(world: World, node: ProxyNode, host: string): string {
  for (const name of meantHosts(host, node.namespace, world.mesh.settings.domainSuffix)) {
    for (const service of world.services.filter(({ hostname }) => hostname === name)) {
      const address = addressOf(world, service);
      if (address !== '') return address;
    }
  }
  return '';
}

function addressOf(world: World, service: Service): string {
  const target = service.aliasOf === undefined ? undefined : world.services.find(({ hostname }) => hostname === service.aliasOf);
  const { addresses, headless, hostname } = target ?? service;
  const own = addresses.find((address) => !address.includes('/')) ?? addresses[0]?.split('/')[0];
  if (own !== undefined) return own;
  return headless === true ? (world.instances.find(({ services }) => services.includes(hostname))?.address ?? '') : '';
}
