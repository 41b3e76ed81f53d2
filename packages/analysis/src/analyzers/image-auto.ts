import { field, labelsOf, list, namespaceOf, selects, stringMap, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { PROXY_CONTAINER } from '../injection.ts';
import { containersOf } from '../kubernetes.ts';

/** `image: auto`, which the injector replaces: a pod that still has it was not injected, and a Deployment may never be. */
export const imageAuto: Analyzer = {
  name: 'injection.ImageAutoAnalyzer',
  codes: ['IST0146', 'IST0147'],
  ofFiles: true,
  run(context) {
    const webhooks = context
      .otherOfKind('MutatingWebhookConfiguration')
      .flatMap(({ value }) => list(field(value, 'webhooks')))
      .filter((webhook) => text(field(webhook, 'name')).endsWith('istio.io'));
    for (const pod of context.pods) {
      const index = pod.containers.findIndex(isAuto);
      if (index >= 0) context.reportOn(pod.document, `spec.containers[${index}].image`, 'IST0147', 'Pod', pod.name);
    }
    for (const document of context.otherOfKind('Deployment')) {
      const template = field(document.value, 'spec', 'template');
      const index = containersOf(field(template, 'spec')).findIndex(isAuto);
      if (index < 0) continue;
      const namespace = context.namespace(namespaceOf(document));
      const ofNamespace = namespace === undefined ? {} : labelsOf(namespace);
      const ofPod = stringMap(template, 'metadata', 'labels');
      const injected = webhooks.some(
        (webhook) => selects(field(webhook, 'namespaceSelector'), ofNamespace) && selects(field(webhook, 'objectSelector'), ofPod),
      );
      if (!injected) context.reportOn(document, `spec.template.spec.containers[${index}].image`, 'IST0146', 'Deployment', document.name);
    }
  },
};

function isAuto({ name, image }: { name: string; image: string }): boolean {
  return name === PROXY_CONTAINER && image === 'auto';
}
