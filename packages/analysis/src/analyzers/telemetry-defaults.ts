import { field, list } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Several Telemetries for one whole namespace: which one holds is then chance. */
export const telemetryDefaults: Analyzer = {
  name: 'telemetry.DefaultSelectorAnalyzer',
  codes: ['IST0160'],
  run(context) {
    const forAll = context
      .ofOtherKind('telemetry.istio.io', 'Telemetry')
      .filter(({ spec }) => field(spec, 'selector') === undefined && field(spec, 'targetRef') === undefined && list(field(spec, 'targetRefs')).length === 0);
    for (const [namespace, rivals] of Map.groupBy(forAll, ({ metadata }) => metadata.namespace)) {
      const names = rivals.map(({ metadata }) => metadata.name);
      if (rivals.length > 1) for (const resource of rivals) context.report(resource, 'metadata.name', 'IST0160', names, namespace);
    }
  },
};
