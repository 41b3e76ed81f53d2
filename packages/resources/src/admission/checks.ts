import { ipFamily } from '../address/ip.ts';
import { durationMs } from '../duration.ts';
import type { Json } from '../json.ts';
import { duplicate, type FieldError, forbidden, invalid } from '../schema/field-error.ts';
import { compilesInRe2 } from '../schema/patterns.ts';
import { isDnsLabel, labelFaults } from './names.ts';

// What several kinds have in common: each appends what is wrong with the value of one field.

const maxPort = 65_535;
const maxRegexLength = 1024;
/** "0.5ms" means nothing to a proxy's timers. */
const shortestMs = 1;

export function checkDuration(text: string | undefined, path: string, errors: FieldError[]): void {
  if (text === undefined) return;
  const value = durationMs(text);
  if (value === undefined) errors.push(invalid(path, text, 'must be a valid duration, such as 1.5s'));
  else if (value < shortestMs) errors.push(invalid(path, text, 'must be a valid duration of 1ms at least'));
  else if (!Number.isInteger(Math.round(value * 1e6) / 1e6)) errors.push(invalid(path, text, 'must be a duration of whole milliseconds'));
}

export function checkPort(port: number | undefined, path: string, errors: FieldError[]): void {
  if (port !== undefined && (port < 1 || port > maxPort)) errors.push(invalid(path, port, `must be a port number of 1 to ${maxPort}`));
}

export function checkNotNegative(values: Readonly<Record<string, unknown>> | undefined, path: string, errors: FieldError[]): void {
  for (const [name, value] of Object.entries(values ?? {})) {
    if (typeof value === 'number' && value < 0) errors.push(atLeast(`${path}.${name}`, value, 0));
  }
}

export function atLeast(path: string, value: number, least: number): FieldError {
  return invalid(path, value, `${path} in body should be greater than or equal to ${least}`);
}

export function checkPercent(value: number | null | undefined, path: string, errors: FieldError[]): void {
  if (typeof value === 'number' && (value < 0 || value > 100)) errors.push(invalid(path, value, 'must be in the range of 0 to 100'));
}

export function checkPortName(name: string, path: string, errors: FieldError[]): void {
  if (!isDnsLabel(name)) errors.push(invalid(path, name, 'a port\'s name must be a DNS label: letters, digits and "-", at most 63 of them'));
}

const protocols: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'HTTPS', 'GRPC', 'GRPC-WEB', 'TCP', 'TLS', 'MONGO', 'MYSQL', 'REDIS', 'UDP', 'HTTP_PROXY']);

/** Where none is given the bytes are looked at. */
export function checkProtocol(protocol: string | undefined, path: string, errors: FieldError[]): void {
  if (protocol === undefined || protocol === '') return;
  if (!protocols.has(protocol.toUpperCase())) errors.push(invalid(path, protocol, `must be one of ${[...protocols].join(', ')}`));
}

export function checkIp(address: string, path: string, errors: FieldError[]): void {
  if (ipFamily(address) === undefined) errors.push(invalid(path, address, 'must be an IP address'));
}

export function checkLabels(labels: Readonly<Record<string, string>> | undefined, path: string, errors: FieldError[]): void {
  for (const fault of labelFaults(labels)) errors.push(invalid(path, labels as Json, fault));
}

/** A selector of workloads: whole names and values. */
export function checkSelector(labels: Readonly<Record<string, string>> | undefined, path: string, errors: FieldError[]): void {
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (key === '') errors.push(invalid(path, labels as Json, 'a label needs a name'));
    if (key.includes('*') || value.includes('*')) errors.push(invalid(path, labels as Json, `a wildcard is not supported in a selector: "${key}=${value}"`));
  }
}

/** RE2, as Envoy and our proxy match. */
export function checkRegex(regex: string, path: string, errors: FieldError[]): void {
  if (regex === '') errors.push(invalid(path, regex, 'a regular expression must not be empty'));
  else if (regex.length > maxRegexLength) errors.push(invalid(path, regex, `a regular expression may have at most ${maxRegexLength} characters`));
  else if (!compilesInRe2(regex)) errors.push(invalid(path, regex, 'must be a regular expression of RE2'));
}

const unixPrefix = 'unix://';

export function isUnixAddress(address: string): boolean {
  return address.startsWith(unixPrefix);
}

export function checkUnixAddress(address: string, path: string, errors: FieldError[]): void {
  const socket = address.slice(unixPrefix.length);
  if (!socket.startsWith('@') && (!socket.startsWith('/') || socket.endsWith('/')))
    errors.push(invalid(path, address, 'must be unix:// and the absolute path of a socket, or unix://@ and its abstract name'));
}

export interface ExportToOptions {
  /** Of the resource. */
  readonly namespace: string;
  /** "~": nobody, which only a ServiceEntry may say. */
  readonly mayHide?: boolean;
  /** A DestinationRule that is for some callers cannot be for other namespaces. */
  readonly ownNamespaceOnly?: boolean;
}

export function checkExportTo(exportTo: readonly string[] | undefined, { namespace, mayHide, ownNamespaceOnly }: ExportToOptions, errors: FieldError[]): void {
  const seen = new Set<string>();
  for (const [index, entry] of (exportTo ?? []).entries()) {
    const path = `spec.exportTo[${index}]`;
    const meant = entry === '.' ? namespace : entry;
    if (seen.has(meant)) {
      errors.push(duplicate(path, entry));
      continue;
    }
    if (entry === '~' && mayHide === true) seen.add(meant);
    else if (meant !== '*' && !isDnsLabel(meant)) errors.push(invalid(path, entry, 'must be ".", "*" or the name of a namespace'));
    else seen.add(meant);
  }
  for (const alone of ['*', '~']) {
    if (seen.has(alone) && (exportTo ?? []).length > 1) errors.push(invalid('spec.exportTo', exportTo as Json, `"${alone}" must stand alone`));
  }
  if (ownNamespaceOnly === true && seen.size > 0 && (seen.size > 1 || !seen.has(namespace)))
    errors.push(forbidden('spec.exportTo', 'a rule with a workloadSelector is for the workloads of its own namespace, so it may only be exported to "."'));
}
