import { field, list, stringMap } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';

/** Ports of plain TCP at hosts without an address: nothing tells connections to one from those to another. */
export const serviceEntryAddresses: Analyzer = {
  name: 'serviceentry.ProtocolAddressesAnalyzer',
  codes: ['IST0134'],
  ofFiles: true,
  run(context) {
    const metadata = stringMap(context.meshConfig, 'defaultConfig', 'proxyMetadata');
    const allocates = metadata.ISTIO_META_DNS_AUTO_ALLOCATE === 'true' || metadata.PILOT_ENABLE_IP_AUTOALLOCATE === 'true';
    if (metadata.ISTIO_META_DNS_CAPTURE === 'true' && allocates) return;
    for (const resource of context.ofKind('ServiceEntry')) {
      const { addresses, ports } = resource.spec;
      if ((addresses ?? []).length > 0 || list(field(context.statusOf(resource), 'addresses')).length > 0) continue;
      for (const [index, port] of (ports ?? []).entries()) {
        if ((port.protocol ?? '') === '' || port.protocol?.toUpperCase() === 'TCP') context.report(resource, `spec.ports[${index}]`, 'IST0134');
      }
    }
  },
};
