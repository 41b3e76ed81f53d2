import { type ApiGatewaySpec, field, type KubernetesDocument, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { certificateExpiryMs, privateKeyProblem } from '../certificate.ts';
import type { Context } from '../context.ts';

const DAY_MS = 86_400_000;
/** As long as it takes to notice that renewal does not work. */
const SOON_MS = 30 * DAY_MS;

/** Certificates of gateways that will soon have expired (those that have are IST0161), and those whose key is not theirs. */
export const gatewayCredentials: Analyzer = {
  name: 'rig.GatewayCredentials',
  codes: ['RIG0109', 'RIG0113'],
  ofFiles: true,
  run(context) {
    const { nowMs } = context;
    const named = namedSecrets(context);
    for (const secret of context.otherOfKind('Secret')) {
      const users = named.get(secret.name);
      if (users === undefined) continue;
      const [certificate, key] = [entryOf(secret, 'tls.crt', 'cert'), entryOf(secret, 'tls.key', 'key')];
      const expiry = certificateExpiryMs(certificate);
      // One that is none has been told of.
      if (expiry === undefined || key === '') continue;
      const problem = privateKeyProblem(key, certificate);
      if (problem !== undefined) context.reportOn(secret, 'data', 'RIG0113', users, problem);
      if (nowMs === undefined || expiry < nowMs || expiry - nowMs > SOON_MS) continue;
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

/** The first entry that a secret has. */
function entryOf(secret: KubernetesDocument, ...keys: readonly string[]): string {
  for (const key of keys) {
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
