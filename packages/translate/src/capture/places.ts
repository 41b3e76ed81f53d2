import type { Protocol, Service, ServicePort } from '@outrigger/resources';
import { isIp } from '../addresses.ts';
import { isHttp } from '../protocols.ts';
import type { Reader } from '../reader.ts';
import type { Visibility } from '../visibility.ts';

/** Every address that no listener has for itself. */
export const ANY_ADDRESS = '0.0.0.0';

/** Where calls of one port of a service go, seen from their sender: an address of its own, or a range of any. */
export interface Place {
  readonly address: string;
  /** CIDRs; none: the whole address. */
  readonly ranges: readonly string[];
}

/** One port of a service, as it is listened for at a place. */
export interface CapturedPort {
  readonly service: Service;
  readonly port: ServicePort;
  /** That of a Sidecar's egress where it names the port. */
  readonly protocol: Protocol;
  readonly ranges: readonly string[];
  /** At a port that the proxy itself binds. */
  readonly bound: boolean;
}

export function captureListenerName(address: string, port: number): string {
  return `${address}_${port}`;
}

/** undefined: a name of another kind. */
export function parseCaptureListener(name: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^([0-9a-fA-F:.]+)_(\d{1,5})$/.exec(name);
  return match === null ? undefined : { address: match[1]!, port: Number(match[2]) };
}

/** A ServiceEntry's "10.0.0.1/32" is one address. */
function single(address: string): string | undefined {
  const [base = '', length] = address.split('/');
  if (length === undefined || length === (base.includes(':') ? '128' : '32')) return base;
  return undefined;
}

/** An alias has no listener: what it stands for has. */
export function isAlias(visibility: Visibility, { aliasOf }: Service): boolean {
  return aliasOf !== undefined && visibility.service(aliasOf) !== undefined;
}

/** Requests are told apart by host and share the port; connections have but the address. */
export function* placesOf(reader: Reader, visibility: Visibility, service: Service, port: ServicePort): IterableIterator<Place> {
  if (isAlias(visibility, service)) return;
  const egress = visibility.egressPort(service, port.port);
  const protocol = egress?.protocol ?? port.protocol;
  if (protocol === 'UDP') return;
  if (egress?.bind.startsWith('unix:')) return;
  if (egress !== undefined && (egress.bind !== '' || egress.bound)) yield { address: egress.bind || '127.0.0.1', ranges: [] };
  else if (isHttp(protocol)) yield { address: ANY_ADDRESS, ranges: [] };
  else if (service.addresses.length > 0) yield* addressed(service.addresses);
  else yield* unaddressed(reader, service, port);
}

function* addressed(addresses: readonly string[]): IterableIterator<Place> {
  const ranges: string[] = [];
  for (const address of addresses) {
    const own = single(address);
    if (own === undefined) ranges.push(address);
    else yield { address: own, ranges: [] };
  }
  if (ranges.length > 0) yield { address: ANY_ADDRESS, ranges };
}

/** Callers of a service without an address find one of its instances, or nobody knows what they find. */
function* unaddressed(reader: Reader, service: Service, port: ServicePort): IterableIterator<Place> {
  const instances = service.headless === true || service.resolution === 'NONE' ? reader.instances(service.hostname) : [];
  const own = reader.node.capture?.addresses[0];
  for (const { address, ports } of instances)
    if (address !== own && isIp(address) && ports.some(({ servicePort }) => servicePort === port.port)) yield { address, ranges: [] };
  if (service.headless !== true && instances.length === 0) yield { address: ANY_ADDRESS, ranges: [] };
}

/** Names of all listeners for calls of the workload. Costs what the node may see. */
export function captureListenerNames(reader: Reader, visibility: Visibility): readonly string[] {
  const names = new Set<string>();
  for (const service of visibility.services())
    for (const port of service.ports)
      if (visibility.imports(service, port.port))
        for (const { address } of placesOf(reader, visibility, service, port)) names.add(captureListenerName(address, port.port));
  return [...names];
}

/** What is listened for at a place, oldest first. */
export function capturedAt(reader: Reader, visibility: Visibility, address: string, port: number): readonly CapturedPort[] {
  const found: CapturedPort[] = [];
  for (const service of candidates(reader, visibility, address, port)) {
    const declared = service.ports.find((candidate) => candidate.port === port);
    if (declared === undefined || !visibility.imports(service, port)) continue;
    const place = [...placesOf(reader, visibility, service, declared)].find((one) => one.address === address);
    if (place === undefined) continue;
    const egress = visibility.egressPort(service, port);
    found.push({ service, port: declared, protocol: egress?.protocol ?? declared.protocol, ranges: place.ranges, bound: egress?.bound === true });
  }
  return found.sort((a, b) => byAge(a.service, b.service));
}

/** A service's own address is looked up; other places are found by looking at all services. */
function candidates(reader: Reader, visibility: Visibility, address: string, port: number): Iterable<Service> {
  if (address === ANY_ADDRESS || visibility.namesPort(port)) return visibility.services();
  const hostnames = new Set([address, `${address}/32`, `${address}/128`].flatMap((written) => reader.hostnamesAt(written)));
  if (hostnames.size === 0) return visibility.services();
  return [...hostnames].flatMap((hostname) => visibility.service(hostname) ?? []);
}

/** Istio's order of services. */
function byAge(a: Service, b: Service): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? -1 : 1;
  const [left, right] = [`${a.name}.${a.namespace}`, `${b.name}.${b.namespace}`];
  return left < right ? -1 : left > right ? 1 : 0;
}
