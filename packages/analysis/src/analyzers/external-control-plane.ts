import { field, type KubernetesDocument, list, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** Webhooks of Istio by the address of a control plane in another cluster. */
export const externalControlPlane: Analyzer = {
  name: 'externalcontrolplane.ExternalControlPlaneAnalyzer',
  codes: ['IST0163', 'IST0164'],
  ofFiles: true,
  run(context) {
    for (const document of context.otherOfKind('ValidatingWebhookConfiguration'))
      if (document.name === 'istiod-default-validator' || document.name.startsWith('istio-validator')) reportWebhooks(context, document);
    for (const document of context.otherOfKind('MutatingWebhookConfiguration'))
      if (document.name.startsWith('istio-sidecar-injector')) reportWebhooks(context, document);
  },
};

function reportWebhooks(context: Context, document: KubernetesDocument): void {
  for (const [index, webhook] of list(field(document.value, 'webhooks')).entries()) {
    const name = text(field(webhook, 'name'));
    const url = field(webhook, 'clientConfig', 'url');
    const path = `webhooks[${index}].clientConfig.url`;
    if (typeof url !== 'string') {
      if (field(webhook, 'clientConfig', 'service') === undefined) context.reportOn(document, path, 'IST0163', '', name, 'is blank');
      continue;
    }
    const host = hostOf(url);
    if (host === undefined) context.reportOn(document, path, 'IST0163', url, name, 'was provided in an invalid format');
    else if (isAddress(host)) context.reportOn(document, path, 'IST0164', url, name);
    else if (!mayResolve(host)) context.reportOn(document, path, 'IST0163', url, name, 'cannot be resolved via a DNS lookup');
  }
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) && new URL(url).hostname !== '' ? new URL(url).hostname : undefined;
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^\d+(?:\.\d+){3}$/.test(host);
}

/** Nothing is looked up: files are judged alike wherever they are read. A name that no DNS may know in public is told apart. */
function mayResolve(host: string): boolean {
  const labels = host.replace(/\.$/, '').split('.');
  const isName = labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?$/i.test(label));
  return host === 'localhost' || (isName && labels.length > 1 && labels.at(-1) !== 'invalid');
}
