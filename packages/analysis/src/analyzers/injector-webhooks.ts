import { field, type Json, type KubernetesDocument, labelsOf, list, namespaceOf, selects, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { INJECT_LABEL, INJECTION_LABEL, REVISION_LABEL } from '../injection.ts';

interface Webhook {
  readonly document: KubernetesDocument;
  readonly path: string;
  readonly name: string;
  readonly value: Json;
}

/** Injection webhooks of which two would take one pod, and those of a control plane that is not there. */
export const injectorWebhooks: Analyzer = {
  name: 'webhook.Analyzer',
  codes: ['IST0139'],
  ofFiles: true,
  run(context) {
    const documents = context.otherOfKind('MutatingWebhookConfiguration').filter(isOfIstio);
    const webhooks = documents.flatMap((document) =>
      list(field(document.value, 'webhooks')).map((value, index): Webhook => {
        return { document, path: `webhooks[${index}]`, name: `${document.name}/${text(field(value, 'name'))}`, value };
      }),
    );
    reportOverlaps(context, webhooks, new Set(documents.flatMap(revisionsOf)));
    for (const { document, path, value } of webhooks) {
      const service = field(value, 'clientConfig', 'service');
      if (service === undefined) continue;
      const [namespace, name] = [text(field(service, 'namespace')), text(field(service, 'name'))];
      const exists = context.otherOfKind('Service').some((other) => other.name === name && namespaceOf(other) === namespace);
      if (!exists)
        context.reportOn(
          document,
          `${path}.clientConfig.service`,
          'IST0139',
          `Injector refers to a control plane service that does not exist: ${namespace}/${name}.`,
        );
    }
  },
};

/** Tries every sort of namespace and of pod that the webhooks tell apart: each may match one webhook at most. */
function reportOverlaps(context: Context, webhooks: readonly Webhook[], revisions: ReadonlySet<string>): void {
  const said = new Set<string>();
  const namespaces = combinations(INJECTION_LABEL, ['enabled', 'disabled'], revisions);
  const pods = combinations(INJECT_LABEL, ['true', 'false'], revisions);
  for (const namespace of namespaces) {
    for (const pod of pods) {
      const matching = webhooks.filter(({ value }) => selects(field(value, 'namespaceSelector'), namespace) && selects(field(value, 'objectSelector'), pod));
      if (matching.length < 2) continue;
      for (const webhook of matching) {
        const others = matching.filter((other) => other !== webhook).map(({ name }) => name);
        const text = `Webhook overlaps with others: [${others.join(' ')}]. This may cause injection to occur twice.`;
        const key = `${webhook.document.name} ${webhook.path} ${text}`;
        if (said.has(key)) continue;
        said.add(key);
        context.reportOn(webhook.document, `${webhook.path}.name`, 'IST0139', text);
      }
    }
  }
}

function combinations(label: string, values: readonly string[], revisions: ReadonlySet<string>): readonly Readonly<Record<string, string>>[] {
  const plain: Readonly<Record<string, string>>[] = [{}, ...values.map((value) => ({ [label]: value }))];
  return [...plain, ...[...revisions].flatMap((revision) => plain.map((labels) => ({ ...labels, [REVISION_LABEL]: revision })))];
}

function isOfIstio(document: KubernetesDocument): boolean {
  return revisionsOf(document).length > 0 || list(field(document.value, 'webhooks')).some((webhook) => text(field(webhook, 'name')).endsWith('istio.io'));
}

/** Revisions that a configuration's label and selectors name. */
function revisionsOf(document: KubernetesDocument): readonly string[] {
  const own = labelsOf(document)[REVISION_LABEL];
  const selected = list(field(document.value, 'webhooks'))
    .flatMap((webhook) => [field(webhook, 'namespaceSelector'), field(webhook, 'objectSelector')])
    .flatMap((selector) => [
      field(selector, 'matchLabels', REVISION_LABEL),
      ...list(field(selector, 'matchExpressions'))
        .filter((expression) => field(expression, 'key') === REVISION_LABEL)
        .flatMap((expression) => list(field(expression, 'values'))),
    ]);
  return [...(own === undefined ? [] : [own]), ...selected.filter((revision) => typeof revision === 'string')];
}
