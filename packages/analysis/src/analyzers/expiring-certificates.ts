import { type ApiGatewaySpec, field, type KubernetesDocument, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { certificateExpiryMs } from '../certificate.ts';
import type { Context } from '../context.ts';

const DAY_MS = 86_400_000;
/** As long as it takes to notice that renewal does not work. */
const SOON_MS = 30 * DAY_MS;

/** Certificates of gateways that will soon have expired; those that have are IST0161. */
export const expiringCertificates: Analyzer = {
  name: 'rig.ExpiringCertificates',
  codes: ['RIG0109'],
  ofFiles: true,
  run(context) {
    const { nowMs } = context;
    if (nowMs === undefined) return;
    const named = namedSecrets(context);
    for (const secret of context.otherOfKind('Secret')) {
      const users = named.get(secret.name);
      if (users === undefined) continue;
      const expiry = certificateExpiryMs(certificateOf(secret));
      if (expiry === undefined || expiry < nowMs || expiry - nowMs > SOON_MS) continue;
      context.reportOn(secret, 'data', 'RIG0109', users, Math.floor((expiry - nowMs) / DAY_MS), new Date(expiry).toISOString().slice(0, 10));
    }
  },
};

/** Gateways by the name of a secret that they show; in which namespace it is looked for depends on where they run. */
function namedSecrets(context: Context): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const { metadata, spec } of context.ofKind('Gateway')) {
    for (const { tls } of spec.servers ?? []) {
      for (const name of [tls?.credentialName ?? '', ...(tls?.credentialNames ?? [])])
        if (name !== '') named.set(name.slice(name.indexOf('/') + 1), `Gateway ${metadata.namespace}/${metadata.name}`);
    }
  }
  for (const { metadata, spec } of context.ofKind('ApiGateway')) {
    for (const { tls } of (spec as ApiGatewaySpec).listeners ?? [])
      for (const { name } of tls?.certificateRefs ?? []) named.set(name, `Gateway ${metadata.namespace}/${metadata.name}`);
  }
  return named;
}

function certificateOf(secret: KubernetesDocument): string {
  for (const key of ['tls.crt', 'cert']) {
    const plain = text(field(secret.value, 'stringData', key));
    if (plain !== '') return plain;
    const encoded = text(field(secret.value, 'data', key));
    if (encoded !== '') return decoded(encoded);
  }
  return '';
}

function decoded(encoded: string): string {
  try {
    return atob(encoded.replaceAll(/\s/g, ''));
  } catch {
    return '';
  }
}
