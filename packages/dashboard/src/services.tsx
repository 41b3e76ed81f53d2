import type { ServiceView } from '@outrigger/control-plane/api';
import type { MeshData } from './api.ts';
import { describe, serviceId } from './graph.tsx';
import { type Edge, edgeKey } from './history.ts';
import { Card, Empty, Scrolling, State } from './parts.tsx';
import { count, type Grade, serviceName } from './text.ts';

export function Services({ data, edges }: { data: MeshData; edges: readonly Edge[] }) {
  const { services } = data;
  if (services === undefined) return null;
  if (services.length === 0) {
    return (
      <Card title="Services">
        <Empty
          what="No service yet."
          next="A workload brings its service: `npx rig run --name web --port 8080:9001 -- COMMAND`. A `ServiceEntry` declares one elsewhere."
        />
      </Card>
    );
  }
  return (
    <>
      {services.map((service) => (
        <Service key={service.hostname} service={service} edges={edges} nodes={data.graph?.nodes ?? []} />
      ))}
    </>
  );
}

type Nodes = NonNullable<MeshData['graph']>['nodes'];

function Service({ service, edges, nodes }: { service: ServiceView; edges: readonly Edge[]; nodes: Nodes }) {
  const mine = nodes.filter((node) => node.service === service.name && node.namespace === service.namespace);
  const names = new Map(nodes.map((node) => [node.id, node.service === '' ? node.id : `${serviceName(node)} ${node.version}`.trim()]));
  const own = new Set(mine.map(({ id }) => id));
  const several = mine.length > 1;
  const healthy = service.instances.filter(({ health }) => health === 'HEALTHY').length;
  const ports = service.ports.map(({ protocol, port }) => `${protocol} ${port}`).join(', ');
  return (
    <Card
      title={serviceName({ service: service.name, namespace: service.namespace })}
      id={serviceId({ service: service.name, namespace: service.namespace })}
      note={`${service.hostname}, ${ports || 'no port'}; ${healthy} of ${count(service.instances.length, 'instance')} healthy`}
    >
      <div class="service">
        {service.instances.length === 0 ? (
          <Empty what="No instance: a request to this service is answered with 503." />
        ) : (
          <Scrolling label={`Instances of ${service.name}`}>
            <table class="instances">
              <thead>
                <tr>
                  <th scope="col">Instance</th>
                  <th scope="col">Version</th>
                  <th scope="col">Health</th>
                  <th scope="col">Sidecar</th>
                  <th scope="col">Address</th>
                  <th scope="col">Processes</th>
                </tr>
              </thead>
              <tbody>
                {service.instances.map((instance) => (
                  <tr key={instance.id}>
                    <th scope="row">{instance.id.replace(/^default\//, '')}</th>
                    <td>{instance.version || <span class="quiet">none</span>}</td>
                    <td>
                      <State grade={healthGrade[instance.health]}>{instance.health.toLowerCase()}</State>
                      {instance.reason !== '' && <span class="quiet"> {instance.reason}</span>}
                    </td>
                    <td>{instance.meshed ? 'yes' : <span class="warn">none</span>}</td>
                    <td>
                      <code>{instance.address}</code>
                    </td>
                    <td class="quiet">
                      {instance.applicationPid === null && instance.proxyPid === null
                        ? 'not known'
                        : [
                            instance.applicationPid !== null && `application ${instance.applicationPid}`,
                            instance.proxyPid !== null && `proxy ${instance.proxyPid}`,
                          ]
                            .filter(Boolean)
                            .join(', ')}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scrolling>
        )}
        <div class="calls">
          <Calls
            title="Called by"
            edges={edges.filter(({ to }) => own.has(to))}
            other={({ from }) => names.get(from)}
            own={several ? ({ to }) => names.get(to) : undefined}
          />
          <Calls
            title="Calls"
            edges={edges.filter(({ from }) => own.has(from))}
            other={({ to }) => names.get(to)}
            own={several ? ({ from }) => names.get(from) : undefined}
          />
        </div>
      </div>
    </Card>
  );
}

const healthGrade: Record<ServiceView['instances'][number]['health'], Grade> = { HEALTHY: 'good', DRAINING: 'warn', UNHEALTHY: 'bad' };

function Calls(props: {
  title: string;
  edges: readonly Edge[];
  other: (edge: Edge) => string | undefined;
  /** Where the service has several versions: which of them. */
  own: ((edge: Edge) => string | undefined) | undefined;
}) {
  const { title, edges, other, own } = props;
  if (edges.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul>
        {edges.map((edge) => (
          <li key={edgeKey(edge)}>
            <b>{other(edge)}</b>
            {own !== undefined && <span class="quiet"> ({own(edge)})</span>}
            <div class="figures">{describe(edge)}</div>
          </li>
        ))}
      </ul>
    </>
  );
}
