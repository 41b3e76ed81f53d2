import { annotationsOf } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** The oldest bundle of Gateway API whose definition of a kind can be read. */
const minimumByDefinition: ReadonlyMap<string, readonly [number, number, number]> = new Map([
  ['grpcroutes.gateway.networking.k8s.io', [1, 1, 0]],
  ['backendtlspolicies.gateway.networking.k8s.io', [1, 4, 0]],
  ['tlsroutes.gateway.networking.k8s.io', [1, 5, 0]],
]);

const VERSION_ANNOTATION = 'gateway.networking.k8s.io/bundle-version';

/** CustomResourceDefinitions of Gateway API that are too old for their kind to be acted on. */
export const gatewayApiVersions: Analyzer = {
  name: 'k8sgateway.CRDVersionAnalyzer',
  codes: ['IST0176'],
  ofFiles: true,
  run(context) {
    for (const definition of context.otherOfKind('CustomResourceDefinition')) {
      const minimum = minimumByDefinition.get(definition.name);
      const version = annotationsOf(definition)[VERSION_ANNOTATION];
      const installed = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(version ?? '');
      if (minimum === undefined || version === undefined || installed === null) continue;
      const numbers = installed.slice(1).map((part) => Number(part ?? 0));
      const difference = minimum.map((part, index) => (numbers[index] ?? 0) - part).find((part) => part !== 0) ?? 0;
      if (difference < 0) context.reportOn(definition, 'metadata.annotations', 'IST0176', definition.name, version.replace(/^v/, ''), minimum.join('.'));
    }
  },
};
