import { field, type Json, labelsOf, matchesLabels, parseSettings, stringMap, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';
import { INJECTION_LABEL, injectorValues, PROXY_CONTAINER, REVISION_LABEL } from '../injection.ts';
import type { Pod } from '../kubernetes.ts';

/** Pods whose sidecar is not of the version that the injector would give them now. */
export const proxyImages: Analyzer = {
  name: 'injection.ImageAnalyzer',
  codes: ['IST0158'],
  ofFiles: true,
  run(context) {
    for (const namespace of context.otherOfKind('Namespace')) {
      const labels = labelsOf(namespace);
      const revision = labels[REVISION_LABEL] ?? (labels[INJECTION_LABEL] === 'enabled' ? 'default' : undefined);
      const injected = revision === undefined ? undefined : imageOf(injectorValues(context, revision));
      if (injected === undefined) continue;
      const different = context.pods.filter((pod) => pod.namespace === namespace.name && hasOther(context, pod, injected));
      if (different.length > 0)
        context.reportOn(
          namespace,
          'metadata.name',
          'IST0158',
          different.map(({ name }) => name),
        );
    }
  },
};

function hasOther(context: Context, pod: Pod, injected: string): boolean {
  if ((pod.annotations['sidecar.istio.io/proxyImage'] ?? '') !== '') return false;
  const type = imageTypeOf(context, pod);
  return pod.containers.some(({ name, image }) => name === PROXY_CONTAINER && image !== injected && image !== `${injected}-${type}`);
}

function imageOf(values: Json | undefined): string | undefined {
  if (values === undefined) return undefined;
  const image = text(field(values, 'global', 'proxy', 'image'));
  if (image.includes('/')) return image;
  return `${text(field(values, 'global', 'hub'))}/${image}:${String(field(values, 'global', 'tag') ?? '')}`;
}

/** "distroless": the mesh's, overridden by ProxyConfigs of the root namespace, of the pod's and of the pod, and by the pod's annotation. */
function imageTypeOf(context: Context, pod: Pod): string {
  const configs = context.ofOtherKind('networking.istio.io', 'ProxyConfig');
  const ofNamespace = (namespace: string) => configs.filter(({ metadata }) => metadata.namespace === namespace);
  const own = pod.namespace === context.rootNamespace ? [] : ofNamespace(pod.namespace);
  const hasSelector = (spec: Json): boolean => Object.keys(stringMap(spec, 'selector', 'matchLabels')).length > 0;
  const annotation = pod.annotations['proxy.istio.io/config'];
  const layers: readonly (Json | undefined)[] = [
    field(context.meshConfig, 'defaultConfig'),
    ...ofNamespace(context.rootNamespace).map(({ spec }) => spec),
    ...own.filter(({ spec }) => !hasSelector(spec)).map(({ spec }) => spec),
    ...own.filter(({ spec }) => hasSelector(spec) && matchesLabels(stringMap(spec, 'selector', 'matchLabels'), pod.labels)).map(({ spec }) => spec),
    annotation === undefined ? undefined : parseSettings({ file: '', text: annotation }).settings.value,
  ];
  const type = layers.map((layer) => text(field(layer, 'image', 'imageType'))).findLast((said) => said !== '') ?? '';
  return type === 'default' ? '' : type;
}
