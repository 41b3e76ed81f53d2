import { field, type Json, type KubernetesDocument, labelsOf, list, matchesLabels, namespaceOf, stringMap } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { isDeploymentInMesh } from '../injection.ts';

interface Exposed {
  readonly service: string;
  readonly port: Json;
  readonly number: number;
}

/** Deployments that several Services select and that these describe differently: one port is one protocol to a sidecar. */
export const deploymentServices: Analyzer = {
  name: 'deployment.ServiceAssociationAnalyzer',
  codes: ['IST0116', 'IST0137'],
  ofFiles: true,
  run(context) {
    const services = Map.groupBy(context.otherOfKind('Service'), namespaceOf);
    for (const deployment of context.otherOfKind('Deployment')) {
      const isWaypoint = labelsOf(deployment)['gateway.istio.io/managed'] === 'istio.io-mesh-controller';
      if (isWaypoint || !isDeploymentInMesh(context, deployment)) continue;
      const ports = exposedPorts(services.get(namespaceOf(deployment)) ?? [], deployment);
      for (const [number, exposed] of Map.groupBy(ports, (port) => port.number)) {
        const protocols = new Set(exposed.map(({ port }) => field(port, 'protocol') ?? 'TCP'));
        const services = exposed.map(({ service }) => service).sort();
        if (protocols.size > 1) context.reportOn(deployment, 'metadata.name', 'IST0116', deployment.name, number, services);
      }
      for (const [target, exposed] of Map.groupBy(ports, targetOf)) {
        // The service that comes last stands for those of one port.
        const byPort = new Map(exposed.map(({ number, service }) => [number, service]));
        const numbers = [...byPort.keys()].sort((left, right) => left - right);
        if (byPort.size > 1) context.reportOn(deployment, 'metadata.name', 'IST0137', deployment.name, [...byPort.values()].sort(), target, numbers);
      }
    }
  },
};

/** Ports of the Services, of its namespace, that select the pods of a Deployment. */
function exposedPorts(services: readonly KubernetesDocument[], deployment: KubernetesDocument): readonly Exposed[] {
  const namespace = namespaceOf(deployment);
  const labels = stringMap(deployment.value, 'spec', 'template', 'metadata', 'labels');
  return services.flatMap((service) => {
    const selector = stringMap(service.value, 'spec', 'selector');
    if (Object.keys(selector).length === 0 || !matchesLabels(selector, labels)) return [];
    return list(field(service.value, 'spec', 'ports')).flatMap((port) => {
      const number = field(port, 'port');
      return typeof number === 'number' ? [{ service: `${namespace}/${service.name}`, port, number }] : [];
    });
  });
}

function targetOf({ port, number }: Exposed): string {
  const target = String(field(port, 'targetPort') ?? '');
  return target === '' || target === '0' ? String(number) : target;
}
