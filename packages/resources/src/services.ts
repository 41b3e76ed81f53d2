import type { Service } from './mesh.ts';
import type { Resource } from './resource.ts';

/** The services that ServiceEntries declare, one for each host. Other kinds are passed over. */
export function servicesOf(_resources: readonly Resource[]): readonly Service[] {
  return [];
}
