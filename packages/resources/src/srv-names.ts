import type { ServiceEntryPort, ServiceEntrySpec, WorkloadEntrySpec } from './kinds/workloads.ts';
import type { Resource } from './resource.ts';

/**
 * On a ServiceEntry of the resolution DNS: the names whose SRV records are its endpoints, "NAME" or "PORT=NAME", with commas between them. An
 * annotation, since no field of Istio's may hold a name with "_"; an Istio resolves the hosts as it always does.
 */
export const SRV_ANNOTATION = 'outrigger.dev/srv';

/** One endpoint as DNS tells of it. */
export interface SrvEndpoint {
  /** IP address. */
  readonly address: string;
  readonly port: number;
  /** 0 is tried first. */
  readonly priority: number;
  /** From 1, among those of its priority. */
  readonly weight: number;
}

/** What the SRV records of a name are now; undefined where that is not known. */
export type ResolvedSrv = (name: string) => readonly SrvEndpoint[] | undefined;

/** A name of the annotation as it is written, and the name of the port that it is for; '': for each that has none of its own. */
export interface WrittenSrvName {
  readonly port: string;
  readonly name: string;
}

export function writtenSrvNames(annotation: string): readonly WrittenSrvName[] {
  return annotation
    .split(/[\s,]+/)
    .filter((text) => text !== '')
    .map((text) => {
      const equals = text.indexOf('=');
      return {
        port: equals < 0 ? '' : text.slice(0, equals),
        name: text
          .slice(equals + 1)
          .toLowerCase()
          .replace(/\.$/, ''),
      };
    });
}

export interface SrvName {
  readonly port: ServiceEntryPort;
  readonly name: string;
}

/** The names from which a ServiceEntry has its endpoints, for each of its ports; empty: it has them otherwise. */
export function srvNamesOf({ metadata, spec }: Resource<ServiceEntrySpec>): readonly SrvName[] {
  const annotation = metadata.annotations[SRV_ANNOTATION];
  if (annotation === undefined || spec.resolution !== 'DNS') return [];
  const written = writtenSrvNames(annotation);
  return (spec.ports ?? []).flatMap((port) => {
    const own = written.filter((one) => one.port === port.name);
    return [...new Set((own.length > 0 ? own : written.filter((one) => one.port === '')).map(({ name }) => name))].map((name) => ({ port, name }));
  });
}

/** What a ServiceEntry says of the endpoints of a name: its endpoint whose address is that name, without its "_service._proto.". */
export function endpointOfSrvName(spec: ServiceEntrySpec, name: string): Omit<WorkloadEntrySpec, 'address' | 'ports' | 'weight'> {
  const domain = name.replace(/^(?:_[^.]*\.)+/, '');
  const found = spec.endpoints?.find(({ address = '' }) => address.toLowerCase().replace(/\.$/, '') === domain);
  if (found === undefined) return {};
  const { address: _address, ports: _ports, weight: _weight, ...rest } = found;
  return rest;
}
