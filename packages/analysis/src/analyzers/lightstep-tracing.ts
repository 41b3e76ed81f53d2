import { field, list } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Tracing by the Lightstep provider, which Envoy has no more. */
export const lightstepTracing: Analyzer = {
  name: 'telemetry.LightstepAnalyzer',
  codes: ['IST0002'],
  once: true,
  ofFiles: true,
  run(context) {
    const providers = list(field(context.meshConfig, 'extensionProviders'))
      .filter((provider) => field(provider, 'lightstep') !== undefined)
      .map((provider) => field(provider, 'name'));
    if (providers.length === 0) return;
    for (const resource of context.ofOtherKind('telemetry.istio.io', 'Telemetry')) {
      for (const [index, tracing] of list(field(resource.spec, 'tracing')).entries()) {
        for (const [number, provider] of list(field(tracing, 'providers')).entries()) {
          const name = field(provider, 'name');
          if (typeof name === 'string' && providers.includes(name))
            context.report(
              resource,
              `spec.tracing[${index}].providers[${number}].name`,
              'IST0002',
              `use of the Lightstep provider ${name}, write one of opentelemetry`,
            );
        }
      }
    }
  },
};
