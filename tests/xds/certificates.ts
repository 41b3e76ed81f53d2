import { type Authority, createAuthority, makeKeyAndCsr, type Svid, systemClock } from '@outrigger/identity';
import type { ServerTls } from '@outrigger/xds';

/** A certificate authority of its own for one test. */
export async function testAuthority(): Promise<Authority> {
  const values = new Map<string, Uint8Array>();
  const store = {
    get: (key: string) => values.get(key),
    async put(key: string, value: Uint8Array) {
      values.set(key, value);
    },
  };
  return createAuthority(store, systemClock(), { trustDomain: 'cluster.local' });
}

export async function svidOf(authority: Authority, serviceAccount: string, ttlMs?: number): Promise<Svid> {
  const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
  const issued = await authority.sign(csrDer, { trustDomain: 'cluster.local', namespace: 'default', serviceAccount }, ttlMs);
  return { ...issued, privateKeyPem };
}

export async function controlPlaneTls(authority: Authority): Promise<ServerTls> {
  const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
  const issued = await authority.signControlPlane(csrDer, { dnsNames: [], ipAddresses: ['127.0.0.1'] });
  return { key: privateKeyPem, cert: issued.certificateChainPem.join('\n'), ca: issued.trustBundlePem.join('\n') };
}

export const CONTROL_PLANE_ID = 'spiffe://cluster.local/ns/istio-system/sa/outrigger';
