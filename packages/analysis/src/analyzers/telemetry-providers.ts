import { field, list } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Access logging that names no provider where the mesh has no default one: nothing is logged. */
export const telemetryProviders: Analyzer = {
  name: 'telemetry.ProviderAnalyzer',
  codes: ['IST0157'],
  once: true,
  ofFiles: true,
  run(context) {
    if (list(field(context.meshConfig, 'defaultProviders', 'accessLogging')).length > 0) return;
    for (const resource of context.ofOtherKind('telemetry.istio.io', 'Telemetry')) {
      for (const [index, logging] of list(field(resource.spec, 'accessLogging')).entries()) {
        // What is switched off needs nobody to write to.
        if (field(logging, 'disabled') !== true && list(field(logging, 'providers')).length === 0)
          context.report(resource, `spec.accessLogging[${index}]`, 'IST0157', resource.metadata.name, resource.metadata.namespace);
      }
    }
  },
};
