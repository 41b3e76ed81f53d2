import type { JsonObject } from '@bufbuild/protobuf';
import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';

/** Which workload this proxy stands beside, from the node's metadata (docs/xds.md); '' where unknown. */
export interface NodeIdentity {
  readonly id: string;
  readonly workload: string;
  readonly namespace: string;
  readonly service: string;
  readonly version: string;
}

export function nodeIdentity(node: Node | undefined): NodeIdentity {
  const metadata: JsonObject = node?.metadata ?? {};
  const text = (key: string): string => {
    const value = metadata[key];
    return typeof value === 'string' ? value : '';
  };
  const labels = metadata['LABELS'];
  const version = typeof labels === 'object' && labels !== null && !Array.isArray(labels) ? labels['version'] : undefined;
  return {
    id: node?.id ?? '',
    workload: text('WORKLOAD'),
    namespace: text('NAMESPACE'),
    service: text('SERVICE'),
    version: typeof version === 'string' ? version : '',
  };
}
