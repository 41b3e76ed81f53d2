import { field, labelsOf } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { DATAPLANE_MODE_LABEL, INJECT_LABEL, INJECTION_LABEL, injectorValues, isSystemNamespace, PROXY_CONTAINER, REVISION_LABEL } from '../injection.ts';

/** Namespaces that say nothing of injection, or two things of it, and pods without the sidecar that their namespace asks for. */
export const namespaceInjection: Analyzer = {
  name: 'injection.Analyzer',
  codes: ['IST0102', 'IST0103', 'IST0123', 'IST0148'],
  ofFiles: true,
  run(context) {
    const injected = injectedNamespaces(context);
    for (const { document, namespace, name, labels, annotations, containers } of context.pods) {
      if (!injected.has(namespace) || field(document.value, 'spec', 'hostNetwork') === true) continue;
      if ((labels[INJECT_LABEL] ?? annotations[INJECT_LABEL])?.toLowerCase() === 'false') continue;
      if (!containers.some((container) => container.name === PROXY_CONTAINER && container.image !== ''))
        context.reportOn(document, 'metadata.name', 'IST0103', `${namespace}/${name}`);
    }
  },
};

/** Those whose pods ought to have a sidecar; reports the others. */
function injectedNamespaces(context: Context): ReadonlySet<string> {
  const injected = new Set<string>();
  for (const document of context.otherOfKind('Namespace')) {
    const { name } = document;
    if (name === context.rootNamespace || isSystemNamespace(name)) continue;
    const labels = labelsOf(document);
    const injection = labels[INJECTION_LABEL];
    const revision = labels[REVISION_LABEL];
    const said = injection === undefined ? [] : [`${INJECTION_LABEL}=${injection}`];
    // Who says that nothing is to be injected says so whatever else stands there.
    if (injection === undefined || injection === 'enabled')
      for (const label of [REVISION_LABEL, DATAPLANE_MODE_LABEL]) if (labels[label] !== undefined) said.push(`${label}=${labels[label]}`);
    if (said.length > 1) context.reportOn(document, 'metadata.labels', 'IST0123', said);
    if (labels[DATAPLANE_MODE_LABEL] === 'ambient') continue;
    if (injection === 'enabled' || ((injection ?? '') === '' && revision !== undefined)) injected.add(name);
    else if ((injection ?? '') === '') {
      const byDefault = field(injectorValues(context, revision ?? ''), 'sidecarInjectorWebhook', 'enableNamespacesByDefault') === true;
      if (byDefault) context.reportOn(document, 'metadata.name', 'IST0148');
      else context.reportOn(document, 'metadata.name', 'IST0102', name, name);
    }
  }
  return injected;
}
