import { field, type Json, type KubernetesDocument, list, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { isControlPlane, PROXY_CONTAINER } from '../injection.ts';

/** The user that the sidecar runs as, whose calls are not redirected to it. */
const PROXY_UID = 1337;

/** Applications that run as the sidecar's user: their calls leave past it. */
export const applicationUids: Analyzer = {
  name: 'deployment.ApplicationUIDAnalyzer',
  codes: ['IST0144'],
  once: true,
  ofFiles: true,
  run(context) {
    for (const { document } of context.pods) reportUids(context, document, field(document.value, 'spec'), 'spec');
    for (const document of context.otherOfKind('Deployment'))
      reportUids(context, document, field(document.value, 'spec', 'template', 'spec'), 'spec.template.spec');
  },
};

function reportUids(context: Context, document: KubernetesDocument, spec: Json | undefined, path: string): void {
  if (isControlPlane(document)) return;
  const user = ['securityContext', 'runAsUser'];
  if (field(spec, ...user) === PROXY_UID) context.reportOn(document, `${path}.securityContext.runAsUser`, 'IST0144');
  for (const [index, container] of list(field(spec, 'containers')).entries()) {
    const name = text(field(container, 'name'));
    if (name === PROXY_CONTAINER || name === 'istio-operator') continue;
    if (field(container, ...user) === PROXY_UID) context.reportOn(document, `${path}.containers[${index}].securityContext.runAsUser`, 'IST0144');
  }
}
