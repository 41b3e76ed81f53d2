import { field, type Json, type KubernetesDocument, labelsOf, list, matchesLabels, namespaceOf, SelectorIndex, stringMap } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { selectorText } from '../selector-text.ts';

/** Gateways that select nothing, and their ports that no Service of their proxies has. */
export const gatewayPorts: Analyzer = {
  name: 'gateway.IngressGatewayPortAnalyzer',
  codes: ['IST0101', 'IST0162'],
  once: true,
  ofFiles: true,
  run(context) {
    const services = new SelectorIndex<KubernetesDocument>((service) => ({
      namespace: namespaceOf(service),
      labels: stringMap(service.value, 'spec', 'selector'),
    }));
    for (const service of context.otherOfKind('Service')) services.put(service);
    for (const gateway of context.ofKind('Gateway')) {
      const selector = gateway.spec.selector ?? {};
      const pods = context.pods.filter(({ labels }) => matchesLabels(selector, labels));
      if (pods.length === 0) {
        // A gateway off Kubernetes listens by itself: there is no Service to ask.
        if (context.instances.some(({ labels }) => matchesLabels(selector, labels))) continue;
        context.report(gateway, 'spec.selector', 'IST0101', 'selector', selectorText(selector));
        continue;
      }
      const ports = new Set(pods.flatMap((pod) => services.selecting(pod)).flatMap(listenedOn));
      for (const [index, { port }] of (gateway.spec.servers ?? []).entries()) {
        if (port?.number !== undefined && !ports.has(port.number))
          context.report(gateway, `spec.servers[${index}].port.number`, 'IST0162', port.number, selectorText(selector));
      }
    }
  },
};

/** On a Service whose ports stand for themselves alone. */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/** A Gateway names the port that its proxy listens on, or the Service's, which stands for it. */
function listenedOn(service: KubernetesDocument): readonly (Json | undefined)[] {
  const translated = labelsOf(service)[NO_TRANSLATION] === undefined;
  return list(field(service.value, 'spec', 'ports'))
    .filter((port) => (field(port, 'protocol') ?? 'TCP') === 'TCP')
    .flatMap((port) => {
      const [own, target] = [field(port, 'port'), field(port, 'targetPort')];
      return typeof target === 'number' && !translated ? [target] : [own, target];
    });
}
