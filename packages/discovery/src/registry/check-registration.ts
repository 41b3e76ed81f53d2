import { isIPv4, isIPv6 } from 'node:net';
import { type Protocol, protocolOf } from '@outrigger/resources';
import type { DataPlane, Refusal, Registration, RegistrationPort } from './registration.ts';

/** A registration as it came over the wire, of which nothing is believed yet. */
export interface RegistrationInput {
  readonly instance: string;
  readonly namespace: string;
  readonly service: string;
  /** Default: the service's name. */
  readonly serviceAccount?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly locality?: string;
  readonly weight?: number;
  readonly ports: readonly RegistrationPortInput[];
  readonly address: string;
  /** Default 'none'. */
  readonly dataPlane?: string;
  readonly metricsAddress?: string;
  readonly nodeId?: string;
  readonly applicationPid?: number;
  readonly proxyPid?: number;
}

export interface RegistrationPortInput {
  readonly name: string;
  /** Default: what the name says. */
  readonly protocol?: string;
  readonly servicePort: number;
  /** Default: the service's port. */
  readonly applicationPort?: number;
  /** Default: the application's port. Needed for an instance with a sidecar. */
  readonly meshPort?: number;
}

export const MAX_PORTS = 64;
export const MAX_LABELS = 64;
/** A node's id is INSTANCE.NAMESPACE: the instance has no dot. */
export const MAX_INSTANCE_NAME = 128;
const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;
const MAX_PORT = 65_535;
/** Sums of weights have to stay below 2^32 (envoy.config.endpoint.v3.LbEndpoint.load_balancing_weight). */
export const MAX_WEIGHT = 100_000;
const MAX_LOCALITY = 3 * MAX_LABEL + 2;
const MAX_PID = 2 ** 31 - 1;

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const QUALIFIED_PART = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const DATA_PLANES: readonly DataPlane[] = ['outrigger', 'envoy', 'grpc', 'none'];

class Fault extends Error {}

/** Checks every name, number and address; the first that is wrong refuses the whole. */
export function checkRegistration(input: RegistrationInput): Registration | Refusal {
  try {
    return check(input);
  } catch (error) {
    if (error instanceof Fault) return { refused: 'invalid', reason: `The registration is not accepted: ${error.message}.` };
    throw error;
  }
}

function check(input: RegistrationInput): Registration {
  const instance = dnsLabel('instance', input.instance, MAX_INSTANCE_NAME);
  const namespace = dnsLabel('namespace', input.namespace, MAX_LABEL);
  const service = dnsLabel('service', input.service, MAX_LABEL);
  const serviceAccount = subdomain('service account', input.serviceAccount || service);
  const dataPlane = (input.dataPlane || 'none') as DataPlane;
  if (!DATA_PLANES.includes(dataPlane)) throw new Fault(`the data plane is one of ${DATA_PLANES.join(', ')}, not ${shown(input.dataPlane)}`);
  const address = checkAddress(input.address);
  const nodeId = input.nodeId || `${instance}.${namespace}`;
  if (nodeId !== `${instance}.${namespace}`)
    throw new Fault(`the node's id has to be INSTANCE.NAMESPACE, here "${instance}.${namespace}", not ${shown(input.nodeId)}`);
  return Object.freeze({
    instance,
    namespace,
    service,
    serviceAccount,
    labels: checkLabels(input.labels ?? {}),
    locality: checkLocality(input.locality ?? ''),
    weight: integer('weight', input.weight ?? 0, 0, MAX_WEIGHT),
    ports: checkPorts(input.ports, dataPlane),
    address,
    dataPlane,
    metricsAddress: checkMetricsAddress(input.metricsAddress ?? '', address),
    nodeId,
    applicationPid: integer('process id of the application', input.applicationPid ?? 0, 0, MAX_PID),
    proxyPid: integer('process id of the proxy', input.proxyPid ?? 0, 0, MAX_PID),
  });
}

function dnsLabel(what: string, text: string, most: number): string {
  if (typeof text === 'string' && text.length <= most && DNS_LABEL.test(text)) return text;
  throw new Fault(`the ${what} ${shown(text)} is not 1 to ${most} lower-case letters, digits and "-" with a letter or digit at both ends`);
}

function subdomain(what: string, text: string): string {
  if (typeof text === 'string' && text.length <= MAX_SUBDOMAIN && text.split('.').every((label) => DNS_LABEL.test(label))) return text;
  throw new Fault(`the ${what} ${shown(text)} is not 1 to ${MAX_SUBDOMAIN} lower-case letters, digits, "-" and "."`);
}

function integer(what: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new Fault(`the ${what} is a whole number from ${least} to ${most}, not ${shown(value)}`);
}

/** Kubernetes' rules for labels. */
function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw new Fault(`it has ${entries.length} labels, at most ${MAX_LABELS} are accepted`);
  // Own properties of an object without a prototype: a label may be called "__proto__" or "constructor" and harm nothing.
  const checked: Record<string, string> = Object.create(null);
  for (const [key, value] of entries) {
    const slash = key.indexOf('/');
    const name = key.slice(slash + 1);
    if (slash !== -1) subdomain('prefix of the label', key.slice(0, slash));
    if (name.length > MAX_LABEL || !QUALIFIED_PART.test(name))
      throw new Fault(`the label ${shown(key)} has no valid name (1 to ${MAX_LABEL} letters, digits, "-", "_" and ".")`);
    if (typeof value !== 'string' || value.length > MAX_LABEL || (value !== '' && !QUALIFIED_PART.test(value))) {
      throw new Fault(`the label ${shown(key)} has the value ${shown(value)}, which is not at most ${MAX_LABEL} letters, digits, "-", "_" and "."`);
    }
    checked[key] = value;
  }
  return Object.freeze(checked);
}

function checkLocality(locality: string): string {
  if (locality === '') return '';
  const parts = locality.length > MAX_LOCALITY ? [] : locality.split('/');
  if (parts.length >= 1 && parts.length <= 3 && parts.every((part) => part.length <= MAX_LABEL && QUALIFIED_PART.test(part))) return locality;
  throw new Fault(`the locality ${shown(locality)} is not "region", "region/zone" or "region/zone/subzone"`);
}

function checkPorts(ports: readonly RegistrationPortInput[], dataPlane: DataPlane): readonly RegistrationPort[] {
  // One that only calls has no port, and a sidecar all the same.
  const least = dataPlane === 'outrigger' || dataPlane === 'envoy' ? 0 : 1;
  if (ports.length < least || ports.length > MAX_PORTS) throw new Fault(`it has ${ports.length} ports, ${least} to ${MAX_PORTS} are accepted`);
  const names = new Set<string>();
  const numbers = new Set<number>();
  return Object.freeze(
    ports.map((port) => {
      const name = dnsLabel('name of a port', port.name, MAX_LABEL);
      const servicePort = integer(`service port of "${name}"`, port.servicePort, 1, MAX_PORT);
      const applicationPort = integer(`application port of "${name}"`, port.applicationPort || servicePort, 1, MAX_PORT);
      if ((dataPlane === 'outrigger' || dataPlane === 'envoy') && !port.meshPort)
        throw new Fault(`the port "${name}" has no mesh port, where its sidecar listens`);
      const meshPort = integer(`mesh port of "${name}"`, port.meshPort || applicationPort, 1, MAX_PORT);
      if (names.has(name)) throw new Fault(`two ports are called "${name}"`);
      if (numbers.has(servicePort)) throw new Fault(`two ports serve the service's port ${servicePort}`);
      names.add(name);
      numbers.add(servicePort);
      return Object.freeze({ name, protocol: checkProtocol(name, port.protocol ?? ''), servicePort, applicationPort, meshPort });
    }),
  );
}

function checkProtocol(portName: string, protocol: string): Protocol {
  if (protocol.toUpperCase() === 'UNSUPPORTED') return 'UNSUPPORTED';
  if (protocol !== '' && protocolOf('', protocol) === 'UNSUPPORTED') throw new Fault(`the port "${portName}" has the unknown protocol ${shown(protocol)}`);
  return protocolOf(portName, protocol);
}

/** An address to which one instance can be bound and connected: no name, no zone, not "any", no group of hosts. */
function checkAddress(address: string): string {
  if (typeof address === 'string' && isIPv4(address)) {
    const first = Number(address.split('.', 1)[0]);
    if (first !== 0 && first < 224) return address;
  }
  if (typeof address === 'string' && isIPv6(address) && !address.includes('%')) {
    const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
    // Mapped addresses would let one instance appear under two names.
    if (canonical !== '::' && !canonical.startsWith('ff') && !canonical.startsWith('::ffff:')) return canonical;
  }
  throw new Fault(`the address ${shown(address)} is not the IPv4 or IPv6 address of one host`);
}

/** The control plane fetches from there, so it must not be sent to just anywhere: the instance's own address. */
function checkMetricsAddress(text: string, address: string): string {
  if (text === '') return '';
  const at = text.lastIndexOf(':');
  const port = text.slice(at + 1);
  const host = text.slice(0, Math.max(at, 0)).replace(/^\[(.*)\]$/, '$1');
  if (at < 0 || !/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > MAX_PORT) throw new Fault(`the metrics address ${shown(text)} is not HOST:PORT`);
  if ((!isIPv4(host) && !isIPv6(host)) || checkAddress(host) !== address)
    throw new Fault(`the metrics address ${shown(text)} is not on the instance's own address ${address}`);
  return text;
}

/** A stranger's text in a message: short, and quoted so that no control character gets out. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
