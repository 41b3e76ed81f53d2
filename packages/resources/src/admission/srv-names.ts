import type { ServiceEntrySpec } from '../kinds/workloads.ts';
import type { Resource } from '../resource.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { SRV_ANNOTATION, writtenSrvNames } from '../srv-names.ts';

const MAX_NAMES = 32;
const MAX_NAME_CHARACTERS = 253;
const place = `metadata.annotations[${SRV_ANNOTATION}]`;

/** What is wrong with the names of SRV records that a ServiceEntry gives. */
export function checkSrvNames({ metadata, spec }: Resource<ServiceEntrySpec>, errors: FieldError[]): void {
  const annotation = metadata.annotations[SRV_ANNOTATION];
  if (annotation === undefined) return;
  const written = writtenSrvNames(annotation);
  if (written.length === 0) errors.push(required(place, 'the name of SRV records, as in "_http._tcp.orders.example.com"'));
  if (written.length > MAX_NAMES) errors.push(invalid(place, annotation, `may have at most ${MAX_NAMES} names`));
  if (spec.resolution !== 'DNS') errors.push(forbidden(place, `SRV records are for the resolution DNS, and this is ${spec.resolution ?? 'NONE'}`));
  if (spec.workloadSelector !== undefined) errors.push(forbidden(place, 'endpoints are those of SRV records or those of workloadSelector, not both'));
  const seen = new Set<string>();
  for (const { port, name } of written.slice(0, MAX_NAMES)) {
    const fault = srvNameFault(name);
    if (fault !== undefined) errors.push(invalid(place, name, fault));
    if (port !== '' && !(spec.ports ?? []).some((one) => one.name === port)) errors.push(invalid(place, port, `the service has no port "${port}"`));
    const key = `${port}=${name}`;
    if (seen.has(key)) errors.push(duplicate(place, name));
    seen.add(key);
  }
  const withoutName = (spec.ports ?? []).find(({ name }) => !written.some(({ port }) => port === '' || port === name));
  if (written.length > 0 && withoutName !== undefined) errors.push(invalid(place, annotation, `has no name for the port "${withoutName.name}"`));
}

/** Consul takes "orders.service.consul" too, and the tag of an instance in the place of "_tcp". */
function srvNameFault(name: string): string | undefined {
  const labels = name.split('.');
  if (name.length > MAX_NAME_CHARACTERS) return `a domain name may have at most ${MAX_NAME_CHARACTERS} characters`;
  const bad = labels.find((label) => !/^_?[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?$/.test(label) || label.length > 63);
  if (bad !== undefined || labels.length < 2)
    return 'must be the name of SRV records, as "_http._tcp.orders.example.com" or "orders.service.consul": labels of letters, digits, "-" and "_"';
  if (labels[0]!.startsWith('_') && (labels[1] === '_udp' || labels[1] === '_sctp'))
    return `is a name of services of ${labels[1].slice(1).toUpperCase()}, and a mesh carries TCP`;
  if (labels[0]!.startsWith('_') && !labels[1]!.startsWith('_')) return 'must go on with the protocol, "_tcp", behind its first label';
  return undefined;
}
