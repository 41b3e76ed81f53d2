import { matchesLabels } from '@outrigger/resources';
import type { PeerAuthentication } from '../mesh.ts';
import type { Reader } from '../reader.ts';

export type InboundTlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

const DEFAULT_MODE: InboundTlsMode = 'PERMISSIVE';

function selects({ spec }: PeerAuthentication): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
}

/** The ports for which a policy that selects the workload has a mode of their own. */
export function portsWithMode(
  reader: Reader,
  { namespace, labels }: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
): readonly number[] {
  const own = reader.peerAuthentications(namespace).find((policy) => selects(policy) && matchesLabels(policy.spec.selector?.matchLabels, labels));
  return Object.keys(own?.spec.portLevelMtls ?? {}).map(Number);
}

/**
 * What a workload takes on its own port `applicationPort`: the port's mode, else the workload's, else the namespace's, else the
 * root namespace's; the oldest of each; UNSET looks further. Without any: PERMISSIVE.
 */
export function inboundTlsMode(
  reader: Reader,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  applicationPort: number,
): InboundTlsMode {
  const { rootNamespace } = reader.settings;
  const own = reader.peerAuthentications(workload.namespace);
  const root = workload.namespace === rootNamespace ? [] : reader.peerAuthentications(rootNamespace);
  const forWorkload = own.find((policy) => selects(policy) && matchesLabels(policy.spec.selector?.matchLabels, workload.labels));
  const forNamespace = own.find((policy) => !selects(policy));
  const forMesh = root.find((policy) => !selects(policy));
  const port = forWorkload?.spec.portLevelMtls?.[String(applicationPort)]?.mode;
  if (forWorkload !== undefined && port !== undefined && port !== 'UNSET') {
    reader.uses(forWorkload);
    return port;
  }
  for (const policy of [forWorkload, forNamespace, forMesh]) {
    const mode = policy?.spec.mtls?.mode;
    if (policy === undefined || mode === undefined || mode === 'UNSET') continue;
    reader.uses(policy);
    return mode;
  }
  return DEFAULT_MODE;
}
