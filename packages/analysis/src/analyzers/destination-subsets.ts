import type { Analyzer } from '../analyzer.ts';
import { destinationsOf } from './destinations.ts';

/** Subsets that a VirtualService names and no DestinationRule of the host has. */
export const destinationSubsets: Analyzer = {
  name: 'virtualservice.DestinationRuleAnalyzer',
  codes: ['IST0101'],
  run(context) {
    const known = new Set<string>();
    for (const { metadata, spec } of context.ofKind('DestinationRule')) {
      for (const { name } of spec.subsets ?? []) known.add(`${context.fullHost(spec.host ?? '', metadata.namespace)}+${name}`);
    }
    for (const resource of context.ofKind('VirtualService')) {
      for (const { destination, path, mirror } of destinationsOf(resource.spec)) {
        const subset = destination.subset ?? '';
        if (subset === '' || known.has(`${context.fullHost(destination.host, resource.metadata.namespace)}+${subset}`)) continue;
        const what = mirror ? 'mirror+subset in destinationrule' : 'host+subset in destinationrule';
        context.report(resource, `${path}.subset`, 'IST0101', what, `${destination.host}+${subset}`);
      }
    }
  },
};
