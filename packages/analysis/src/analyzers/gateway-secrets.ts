import { field, type GatewaySpec, type KubernetesDocument, matchesLabels, namespaceOf, type Resource, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { certificateProblem } from '../certificate.ts';
import type { Context } from '../context.ts';
import { selectorText } from '../selector-text.ts';

/** Secrets that Gateways name: they must be where the gateway's pods run, and hold a certificate with its key. */
export const gatewaySecrets: Analyzer = {
  name: 'gateway.SecretAnalyzer',
  codes: ['IST0101', 'IST0161'],
  ofFiles: true,
  run(context) {
    for (const gateway of context.ofKind('Gateway')) {
      const selector = gateway.spec.selector ?? {};
      const proxy = [...context.pods, ...context.instances].find(({ labels }) => matchesLabels(selector, labels));
      if (proxy === undefined) {
        context.report(gateway, 'spec.selector', 'IST0101', 'selector', selectorText(selector));
        continue;
      }
      reportSecrets(context, gateway, proxy.namespace);
    }
  },
};

function reportSecrets(context: Context, gateway: Resource<GatewaySpec>, namespace: string): void {
  for (const [index, { tls }] of (gateway.spec.servers ?? []).entries()) {
    const named = [
      ...((tls?.credentialName ?? '') === '' ? [] : [{ name: tls!.credentialName!, path: 'credentialName' }]),
      ...(tls?.credentialNames ?? []).map((name, number) => ({ name, path: `credentialNames[${number}]` })),
    ];
    for (const { name, path } of named) {
      const place = `spec.servers[${index}].tls.${path}`;
      const secret = secretOf(context, name, namespace);
      if (secret === undefined) context.report(gateway, place, 'IST0101', 'credentialName', name);
      else if (!isValid(context, secret)) context.report(gateway, place, 'IST0161', gateway.metadata.name, namespace);
    }
  }
}

function secretOf(context: Context, credentialName: string, namespace: string): KubernetesDocument | undefined {
  const slash = credentialName.indexOf('/');
  const [owner, name] = slash < 0 ? [namespace, credentialName] : [credentialName.slice(0, slash), credentialName.slice(slash + 1)];
  return context.otherOfKind('Secret').find((secret) => secret.name === name && namespaceOf(secret) === owner);
}

/** As gateways read them: `tls.crt` and `tls.key`, or `cert` and `key`; in `data` as base64 or in `stringData`. */
function isValid(context: Context, secret: KubernetesDocument): boolean {
  const read = (name: string): string => {
    const plain = text(field(secret.value, 'stringData', name));
    if (plain !== '') return plain;
    try {
      return atob(text(field(secret.value, 'data', name)).replaceAll(/\s/g, ''));
    } catch {
      return '';
    }
  };
  return [
    ['tls.crt', 'tls.key'],
    ['cert', 'key'],
  ].some(([certificate, key]) => read(key!) !== '' && read(certificate!) !== '' && certificateProblem(read(certificate!), context.nowMs) === undefined);
}
