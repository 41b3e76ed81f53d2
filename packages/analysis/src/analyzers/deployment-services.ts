import { field, type Json, type KubernetesDocument, labelsOf, list, namespaceOf, SelectorIndex, stringMap } from '@outrigger/resources';
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
    const services = new SelectorIndex<KubernetesDocument>((service) => {
      const labels = stringMap(service.value, 'spec', 'selector');
      return Object.keys(labels).length === 0 ? undefined : { namespace: namespaceOf(service), labels };
    });
    for (const service of context.otherOfKind('Service')) services.put(service);
    for (const deployment of context.otherOfKind('Deployment')) {
      const isWaypoint = labelsOf(deployment)['gateway.istio.io/managed'] === 'istio.io-mesh-controller';
      if (isWaypoint || !isDeploymentInMesh(context, deployment)) continue;
      const labels = stringMap(deployment.value, 'spec', 'template', 'metadata', 'labels');
      const ports = services.selecting({ namespace: namespaceOf(deployment), labels }).flatMap(exposedPorts);
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

function exposedPorts(service: KubernetesDocument): readonly Exposed[] {
  return list(field(service.value, 'spec', 'ports')).flatMap((port) => {
    const number = field(port, 'port');
    return typeof number === 'number' ? [{ service: `${namespaceOf(service)}/${service.name}`, port, number }] : [];
  });
}

function targetOf({ port, number }: Exposed): string {
  const target = String(field(port, 'targetPort') ?? '');
  return target === '' || target === '0' ? String(number) : target;
}
