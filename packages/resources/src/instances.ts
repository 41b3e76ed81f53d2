import type { Instance } from './mesh.ts';
import type { Resource } from './resource.ts';

export interface InstanceOptions {
  /** Default "cluster.local". */
  readonly trustDomain?: string;
}

/**
 * The instances that ServiceEntry endpoints and WorkloadEntries declare; a WorkloadEntry belongs to the ServiceEntries of its
 * namespace whose workloadSelector matches its labels. Meshed where labelled `security.istio.io/tlsMode: istio`.
 */
export function instancesOf(_resources: readonly Resource[], _options: InstanceOptions = {}): readonly Instance[] {
  return [];
}
