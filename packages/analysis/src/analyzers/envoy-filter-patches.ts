import { field, type Json, list, type Resource, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import type { Context } from '../context.ts';

/** Patches of EnvoyFilters that have no effect, or one that depends on which filter comes first. */
export const envoyFilterPatches: Analyzer = {
  name: 'envoyfilter.EnvoyPatchAnalyzer',
  codes: ['IST0151', 'IST0152', 'IST0153', 'IST0154', 'IST0155'],
  once: true,
  run(context) {
    // Names that an earlier patch touches for some versions of the proxy alone.
    const versioned = new Set<string>();
    for (const resource of context.ofOtherKind('networking.istio.io', 'EnvoyFilter')) {
      const priority = Number(field(resource.spec, 'priority') ?? 0);
      for (const [index, patch] of list(field(resource.spec, 'configPatches')).entries()) {
        reportPatch(context, resource, index, patch, priority, versioned);
        if (text(field(patch, 'match', 'proxy', 'proxyVersion')) !== '') versioned.add(nameOf(patch));
      }
    }
  },
};

function reportPatch(context: Context, resource: Resource<Json>, index: number, patch: Json, priority: number, versioned: ReadonlySet<string>): void {
  const place = `spec.configPatches[${index}]`;
  const operation = text(field(patch, 'patch', 'operation'));
  const applyTo = text(field(patch, 'applyTo'));
  const isRoute = applyTo === 'ROUTE_CONFIGURATION' || applyTo === 'HTTP_ROUTE';
  const isFilter = applyTo === 'HTTP_FILTER' || applyTo === 'NETWORK_FILTER';
  if (operation === 'ADD' && isRoute) context.report(resource, place, 'IST0153');
  else if (operation === 'REMOVE' && isRoute) context.report(resource, place, 'IST0154');
  else if (operation === 'REPLACE' && !isFilter && applyTo !== 'VIRTUAL_HOST') context.report(resource, place, 'IST0152');
  else if (['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'].includes(operation) && priority === 0)
    context.report(resource, place, versioned.has(nameOf(patch)) ? 'IST0155' : 'IST0151');
}

/** What a patch is about: the name in its value, or of the filter that it is put at. */
function nameOf(patch: Json): string {
  const value = field(patch, 'patch', 'value');
  if (value === undefined || value === null) return '';
  return text(field(value, 'name')) || text(field(patch, 'match', 'listener', 'filterChain', 'filter', 'name'));
}
