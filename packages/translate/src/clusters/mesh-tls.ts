import type { Instance } from '@outrigger/resources';
import type { Reader } from '../reader.ts';
import { inboundTlsMode } from '../security/peer-authentication.ts';

/** Whether callers use mesh mTLS to this port of the instance: it has a sidecar, and no PeerAuthentication turns mTLS off. */
export function takesMeshTls(reader: Reader, instance: Instance, servicePort: number): boolean {
  if (!instance.meshed) return false;
  const port = instance.ports.find((candidate) => candidate.servicePort === servicePort);
  return inboundTlsMode(reader, instance, port?.applicationPort ?? servicePort) !== 'DISABLE';
}
