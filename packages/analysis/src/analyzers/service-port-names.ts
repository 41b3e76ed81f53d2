import { field, labelsOf, list, namespaceOf, protocolOf, text } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { isControlPlane, isSystemNamespace } from '../injection.ts';

/** On the Services that a control plane makes of Kubernetes Gateways: whose names are nobody's to choose. */
const MANAGED_LABEL = 'gateway.istio.io/managed';
const managedBy: ReadonlySet<string> = new Set(['istio.io-gateway-controller', 'istio.io-mesh-controller', 'istio.io-eastwest-controller']);

/** Ports of Services whose name and appProtocol say no protocol, so that it is found out from the bytes. */
export const servicePortNames: Analyzer = {
  name: 'service.PortNameAnalyzer',
  codes: ['IST0118', 'IST0150'],
  ofFiles: true,
  run(context) {
    for (const service of context.otherOfKind('Service')) {
      if (isSystemNamespace(namespaceOf(service)) || isControlPlane(service) || managedBy.has(labelsOf(service)[MANAGED_LABEL] ?? '')) continue;
      const isExternal = field(service.value, 'spec', 'type') === 'ExternalName';
      for (const [index, port] of list(field(service.value, 'spec', 'ports')).entries()) {
        const [name, number, transport] = [text(field(port, 'name')), field(port, 'port'), text(field(port, 'protocol'))];
        const protocol = protocolOf(name, transport === 'UDP' ? transport : '', text(field(port, 'appProtocol')), typeof number === 'number' ? number : 0);
        // "tcp" names TCP; but for a name of DNS alone TCP has no address to match.
        if (protocol !== 'UNSUPPORTED' && !(isExternal && name === 'tcp')) continue;
        const place = `spec.ports[${index}]`;
        if (isExternal) context.reportOn(service, place, 'IST0150');
        else context.reportOn(service, place, 'IST0118', name, Number(number ?? 0), String(field(port, 'targetPort') ?? 0));
      }
    }
  },
};
