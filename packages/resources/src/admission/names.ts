import { ipFamily } from '../address/ip.ts';

const maxHostLength = 255;
const maxLabelLength = 63;
const dnsLabel = '[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?';
const dnsLabelPattern = new RegExp(`^${dnsLabel}$`);
const wildcardLabelPattern = new RegExp(`^(?:\\*|(?:\\*-?)?${dnsLabel})$`);
const allNumeric = /^[-+]?\d+$/;

/** A label of a DNS name, in either case. */
export function isDnsLabel(text: string): boolean {
  return text.length <= maxLabelLength && dnsLabelPattern.test(text);
}

/** What is wrong with a DNS name; undefined: nothing. */
export function domainFault(name: string): string | undefined {
  return lengthFault(name) ?? labelsFault(name, name);
}

/** What is wrong with a DNS name whose first label may be "*" or begin with it. */
export function wildcardDomainFault(name: string): string | undefined {
  const fault = lengthFault(name);
  if (fault !== undefined) return fault;
  const dot = name.indexOf('.');
  const first = dot < 0 ? name : name.slice(0, dot);
  if (first.length > maxLabelLength || !wildcardLabelPattern.test(first)) return labelFault(name, first);
  return dot < 0 ? undefined : labelsFault(name.slice(dot + 1), name);
}

function lengthFault(name: string): string | undefined {
  if (name === '') return 'a domain name must not be empty';
  return name.length > maxHostLength ? `a domain name may have at most ${maxHostLength} characters` : undefined;
}

function labelsFault(rest: string, whole: string): string | undefined {
  const labels = rest.split('.');
  const last = labels[labels.length - 1] as string;
  if (allNumeric.test(last)) return `domain name "${whole}" invalid: its last label "${last}" may not be a number`;
  for (const [index, label] of labels.entries()) {
    // The dot at the end of "example.com." makes a name absolute.
    if (label === '' && index === labels.length - 1) continue;
    if (!isDnsLabel(label)) return labelFault(whole, label);
  }
  return undefined;
}

function labelFault(name: string, label: string): string {
  if (label.includes('*')) return `domain name "${name}" invalid: "*" may stand only at its beginning`;
  return `domain name "${name}" invalid: the label "${label}" must be letters, digits and "-", at most ${maxLabelLength} of them, and neither begin nor end with "-"`;
}

/** An IP address, or one with the length of a prefix. */
export function isSubnet(text: string): boolean {
  const slash = text.indexOf('/');
  return slash < 0 ? ipFamily(text) !== undefined : isCidr(text);
}

export function isCidr(text: string): boolean {
  const slash = text.indexOf('/');
  const family = ipFamily(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  return slash > 0 && family !== undefined && /^(?:0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

const namePart = '(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelKeyPattern = new RegExp(`^((?:${dnsLabel})(?:\\.${dnsLabel})*/)?(${namePart})$`);
const labelValuePattern = new RegExp(`^(?:${namePart})?$`);
const maxPrefixLength = 253;

/** What is wrong with a set of labels that picks workloads. */
export function labelFaults(labels: Readonly<Record<string, string>> | undefined): readonly string[] {
  const faults: string[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    const match = labelKeyPattern.exec(key);
    if (match === null || (match[1]?.length ?? 0) > maxPrefixLength + 1 || (match[2] as string).length > maxLabelLength)
      faults.push(`"${key}" is no label's name`);
    if (!labelValuePattern.test(value)) faults.push(`"${value}" is no label's value`);
  }
  return faults;
}
