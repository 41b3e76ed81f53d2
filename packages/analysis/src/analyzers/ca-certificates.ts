import type { ClientTlsSettings } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** TLS that a DestinationRule originates without anything to verify the server by. */
export const caCertificates: Analyzer = {
  name: 'destinationrule.CaCertificateAnalyzer',
  codes: ['IST0128', 'IST0129'],
  run(context) {
    for (const resource of context.ofKind('DestinationRule')) {
      const { metadata, spec } = resource;
      // A sidecar takes a credential by name only where the rule selects its workload.
      const named = Object.keys(spec.workloadSelector?.matchLabels ?? {}).length > 0;
      const { tls, portLevelSettings } = spec.trafficPolicy ?? {};
      if (tls !== undefined && isUnverified(tls, named)) {
        context.report(resource, 'spec.trafficPolicy.tls', 'IST0128', metadata.name, metadata.namespace, tls.mode ?? '', spec.host ?? '');
      }
      for (const [index, settings] of (portLevelSettings ?? []).entries()) {
        if (settings.tls === undefined || !isUnverified(settings.tls, named)) continue;
        const place = `spec.trafficPolicy.portLevelSettings[${index}].tls`;
        context.report(resource, place, 'IST0129', metadata.name, metadata.namespace, settings.tls.mode ?? '', spec.host ?? '', settings.port?.number ?? 0);
      }
    }
  },
};

function isUnverified(tls: ClientTlsSettings, namedCredentials: boolean): boolean {
  if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') return false;
  return (tls.caCertificates ?? '') === '' && !(namedCredentials && (tls.credentialName ?? '') !== '');
}
