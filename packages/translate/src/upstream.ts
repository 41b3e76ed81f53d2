import { create } from '@bufbuild/protobuf';
import { fullHost, type Service, type ServicePort } from '@outrigger/resources';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { meantHosts } from './hosts.ts';
import type { Mesh } from './mesh.ts';
import { hostPortText, type ProxyNode } from './node.ts';
import { Reader } from './reader.ts';
import { signature } from './routes/headers.ts';
import { serviceMeant, servicesNamed } from './routes/virtual-host.ts';
import { Visibility } from './visibility.ts';

/** Where a declared loopback port leads: to one port of a service, or, where none was named and the service has several, to no one can say which. */
export type UpstreamTarget = { readonly service: Service; readonly port: ServicePort } | { readonly service: Service; readonly port: undefined };

/** undefined: there is no such service, or it has no such port, yet. `port` 0: its only one. */
export function upstreamTarget(reader: Reader, visibility: Visibility, host: string, port: number): UpstreamTarget | undefined {
  if (port !== 0) return serviceMeant(reader, visibility, host, port);
  for (const service of servicesNamed(reader, visibility, host)) {
    const ports = service.ports.filter((candidate) => visibility.port(service, candidate.port));
    if (ports.length > 0) return { service, port: ports.length === 1 ? ports[0]! : undefined };
  }
  return undefined;
}

/** The full host that a declared upstream means: the first of its possible names that is a service, else the first. */
export function upstreamHost(reader: Reader, visibility: Visibility, service: string, port: number): string {
  return (
    upstreamTarget(reader, visibility, service, port)?.service.hostname ??
    meantHosts(service, reader.node.namespace, reader.settings.domainSuffix)[0] ??
    fullHost(service, reader.node.namespace, reader.settings.domainSuffix)
  );
}

/** Answers every request with what is wrong: a port that is chosen for its caller would be the wrong one some day. */
export function ambiguousVirtualHost(node: ProxyNode, service: Service): VirtualHost {
  return answerTo('ambiguous_port', `${ambiguity(service)}\n`, signature(node, 'proxy_configuration_error', 'ambiguous_port'));
}

/** Until the service is there. Without any answer an Envoy would wait for its routes, and start no listener before. */
export function absentVirtualHost(node: ProxyNode, host: string, port: number): VirtualHost {
  const what = `${host} is no service of the mesh yet${port === 0 ? '' : `, or has no port ${port}`}`;
  return answerTo('no_such_service', `${what}\n`, signature(node, 'destination_not_found', 'no_such_service'));
}

function answerTo(name: string, text: string, header: ReturnType<typeof signature>): VirtualHost {
  return create(VirtualHostSchema, {
    name,
    domains: ['*'],
    routes: [
      {
        name,
        match: { pathSpecifier: { case: 'prefix', value: '' } },
        action: { case: 'directResponse', value: { status: 503, body: { specifier: { case: 'inlineString', value: text } } } },
        responseHeadersToAdd: [header],
      },
    ],
  });
}

function ambiguity(service: Service): string {
  const ports = service.ports.map(({ port }) => port).join(', ');
  return `${service.hostname} has several ports (${ports}), and the declared upstream names none: say ${service.name}:PORT`;
}

/** What is wrong with the loopback ports that a node declares. */
export function upstreamProblems(mesh: Mesh, node: ProxyNode): string[] {
  if (node.upstreams.length === 0) return [];
  const reader = new Reader(mesh, node);
  const visibility = new Visibility(reader);
  return node.upstreams.flatMap(({ service, port, address }) => {
    const target = upstreamTarget(reader, visibility, service.toLowerCase(), port);
    return target !== undefined && target.port === undefined ? [`${hostPortText(address)} answers 503: ${ambiguity(target.service)}`] : [];
  });
}
