import { annotationsOf, type KubernetesDocument, labelsOf } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { annotationProblem, annotationsByName, isIstioAnnotation } from '../annotation-names.ts';
import type { Context } from '../context.ts';
import { INJECT_LABEL } from '../injection.ts';

const kinds: readonly string[] = ['Namespace', 'Service', 'Pod', 'Deployment'];

/** Annotations of Istio that it does not know, that do nothing where they stand, that are deprecated, or whose value is wrong. */
export const annotations: Analyzer = {
  name: 'annotations.K8sAnalyzer',
  codes: ['IST0107', 'IST0108', 'IST0125', 'IST0135'],
  ofFiles: true,
  run(context) {
    for (const kind of kinds) for (const document of context.otherOfKind(kind)) reportAnnotations(context, document);
  },
};

/** Annotations of features that are not settled: what most meshes have on purpose. */
export const alphaAnnotations: Analyzer = {
  name: 'maturity.AlphaAnalyzer',
  codes: ['IST0136'],
  ofFiles: true,
  noisy: true,
  run(context) {
    for (const document of kinds.flatMap((kind) => context.otherOfKind(kind))) {
      const withoutInit = document.kind === 'Pod' && !JSON.stringify(document.value).includes('"istio-init"');
      for (const name of Object.keys(annotationsOf(document))) {
        const known = annotationsByName.get(name);
        if (known?.status !== 'Alpha' || name === 'sidecar.istio.io/status') continue;
        // Where the node redirects the traffic the injector itself writes these.
        if (withoutInit && written.has(name)) continue;
        context.reportOn(document, placeOf(name), 'IST0136', name);
      }
    }
  },
};

const written: ReadonlySet<string> = new Set([
  'sidecar.istio.io/interceptionMode',
  'traffic.sidecar.istio.io/includeInboundPorts',
  'traffic.sidecar.istio.io/excludeInboundPorts',
  'traffic.sidecar.istio.io/includeOutboundIPRanges',
]);

function reportAnnotations(context: Context, document: KubernetesDocument): void {
  for (const [name, value] of Object.entries(annotationsOf(document))) {
    if (!isIstioAnnotation(name)) continue;
    const place = placeOf(name);
    const known = annotationsByName.get(name);
    if (known === undefined) {
      context.reportOn(document, place, 'IST0108', name);
      continue;
    }
    // Who has the label too keeps the annotation for old control planes.
    const isReplaced = name === INJECT_LABEL && labelsOf(document)[INJECT_LABEL] !== undefined;
    if (known.deprecated && !isReplaced)
      context.reportOn(document, place, 'IST0135', name, name === INJECT_LABEL ? ` in favor of the "${INJECT_LABEL}" label` : '');
    if (known.kinds.includes('Any')) continue;
    const problem = annotationProblem(name, value);
    if (!known.kinds.includes(document.kind)) context.reportOn(document, place, 'IST0107', name, known.kinds.join(', '));
    else if (problem !== undefined) context.reportOn(document, place, 'IST0125', name, problem);
  }
}

function placeOf(name: string): string {
  return `metadata.annotations[${name}]`;
}
