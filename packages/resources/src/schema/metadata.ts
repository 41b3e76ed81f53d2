import { isJsonObject, type Json } from '../json.ts';
import { nearest } from '../suggest.ts';
import { child, type FieldError, forbidden, invalid, required, typeInvalid, unknownField } from './field-error.ts';

/** ObjectMeta of Kubernetes: its fields and their JSON types. */
const metadataFields: Readonly<Record<string, string>> = {
  name: 'string',
  generateName: 'string',
  namespace: 'string',
  selfLink: 'string',
  uid: 'string',
  resourceVersion: 'string',
  generation: 'number',
  creationTimestamp: 'string',
  deletionTimestamp: 'string',
  deletionGracePeriodSeconds: 'number',
  labels: 'object',
  annotations: 'object',
  ownerReferences: 'array',
  finalizers: 'array',
  managedFields: 'array',
};

const maxSubdomainLength = 253;
const maxLabelLength = 63;
const maxAnnotationsBytes = 256 * 1024;

const labelFormat = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const labelPattern = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const subdomainFormat = `${labelFormat}(\\.${labelFormat})*`;
const qualifiedNameFormat = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const qualifiedNamePattern = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

const labelMessage = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${labelFormat}')`;
const subdomainMessage = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomainFormat}')`;

/** What is wrong with an RFC 1123 label; empty: nothing. */
export function labelFaults(text: string): string[] {
  if (text.length > maxLabelLength) return [`must be no more than ${maxLabelLength} characters`];
  return labelPattern.test(text) ? [] : [labelMessage];
}

/** What is wrong with an RFC 1123 subdomain; empty: nothing. */
export function subdomainFaults(text: string): string[] {
  if (text.length > maxSubdomainLength) return [`must be no more than ${maxSubdomainLength} characters`];
  return text.split('.').every((part) => labelPattern.test(part)) ? [] : [subdomainMessage];
}

/** What is wrong with a label's or annotation's key ("example.com/name"). */
function qualifiedNameFaults(key: string): string[] {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (name.includes('/')) return ['a valid label key must have at most one "/": an optional prefix and a name'];
  const faults = slash < 0 ? [] : slash === 0 ? ['prefix part must be non-empty'] : subdomainFaults(key.slice(0, slash)).map((fault) => `prefix part ${fault}`);
  if (name === '') faults.push('name part must be non-empty');
  else if (name.length > maxLabelLength) faults.push(`name part must be no more than ${maxLabelLength} characters`);
  else if (!qualifiedNamePattern.test(name)) {
    faults.push(
      `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualifiedNameFormat}')`,
    );
  }
  return faults;
}

/** What is wrong with a label's value. */
export function labelValueFaults(value: string): string[] {
  if (value.length > maxLabelLength) return [`must be no more than ${maxLabelLength} characters`];
  if (value === '' || qualifiedNamePattern.test(value)) return [];
  return [
    `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${qualifiedNameFormat})?')`,
  ];
}

/** Checks `metadata` as the API server does for every object. */
export function validateMetadata(metadata: Json | undefined, scope: 'Namespaced' | 'Cluster', errors: FieldError[]): void {
  if (metadata === undefined || metadata === null) {
    errors.push(required('metadata.name', 'name or generateName is required'));
    return;
  }
  if (!isJsonObject(metadata)) {
    errors.push(typeInvalid('metadata', 'object', Array.isArray(metadata) ? 'array' : typeof metadata));
    return;
  }
  for (const [field, value] of Object.entries(metadata)) {
    const expected = Object.hasOwn(metadataFields, field) ? metadataFields[field] : undefined;
    if (expected === undefined) errors.push(unknownField(child('metadata', field), nearest(field, Object.keys(metadataFields))));
    else if (value !== null && expected !== jsonType(value))
      errors.push(typeInvalid(child('metadata', field), expected === 'number' ? 'integer' : expected, jsonType(value)));
  }
  const { name, namespace, labels, annotations } = metadata;
  if (name === undefined || name === null || name === '') errors.push(required('metadata.name', 'name or generateName is required'));
  else if (typeof name === 'string') for (const fault of subdomainFaults(name)) errors.push(invalid('metadata.name', name, fault));
  if (typeof namespace === 'string' && namespace !== '') {
    if (scope === 'Cluster') errors.push(forbidden('metadata.namespace', 'not allowed on this type'));
    else for (const fault of labelFaults(namespace)) errors.push(invalid('metadata.namespace', namespace, fault));
  }
  if (isJsonObject(labels)) validateMap(labels, 'metadata.labels', labelValueFaults, errors);
  if (isJsonObject(annotations)) {
    validateMap(annotations, 'metadata.annotations', () => [], errors);
    const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + (typeof value === 'string' ? value.length : 0), 0);
    if (size > maxAnnotationsBytes) {
      errors.push({
        type: 'TooLong',
        field: 'metadata.annotations',
        message: `metadata.annotations: Too long: may not be more than ${maxAnnotationsBytes} bytes`,
      });
    }
  }
}

function validateMap(map: Readonly<Record<string, Json>>, path: string, valueFaults: (value: string) => string[], errors: FieldError[]): void {
  for (const [key, value] of Object.entries(map)) {
    // Annotations' keys may be in upper case, labels' prefixes may not; Kubernetes checks an annotation's key in lower case.
    for (const fault of qualifiedNameFaults(path === 'metadata.annotations' ? key.toLowerCase() : key)) errors.push(invalid(path, key, fault));
    if (typeof value !== 'string') errors.push(typeInvalid(child(path, key), 'string', value === null ? 'null' : jsonType(value)));
    else for (const fault of valueFaults(value)) errors.push(invalid(path, value, fault));
  }
}

function jsonType(value: Json): string {
  return Array.isArray(value) ? 'array' : typeof value;
}
