import { durationMs } from '../duration.ts';
import type { Json } from '../json.ts';
import type { HttpRoute, VirtualServiceSpec } from '../kinds/virtual-service.ts';
import { type FieldError, invalid, required } from '../schema/field-error.ts';
import { hostFault } from './hosts.ts';

const maxPercent = 100;
const statusCodes = { min: 200, max: 599 };

/** Envoy's and gRPC's names for what may be retried, besides bare status codes. */
const retryPolicies: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'refused-stream',
  'retriable-4xx',
  'retriable-headers',
  'retriable-status-codes',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

/** What is wrong with a VirtualService that its schema accepts. */
export function virtualServiceErrors(spec: VirtualServiceSpec): readonly FieldError[] {
  const errors: FieldError[] = [];
  const hosts = spec.hosts ?? [];
  const delegate = hosts.length === 0;
  for (const [index, host] of hosts.entries()) {
    const fault = hostFault(host);
    if (fault !== undefined) errors.push(invalid(`spec.hosts[${index}]`, host, fault));
  }
  if ((spec.http ?? []).length === 0 && (spec.tcp ?? []).length === 0 && (spec.tls ?? []).length === 0) {
    errors.push(required('spec.http', 'http, tcp or tls must be provided in virtual service'));
  }
  if (delegate && ((spec.tcp ?? []).length > 0 || (spec.tls ?? []).length > 0)) {
    errors.push(required('spec.hosts', 'a virtual service without hosts is a delegate, and a delegate may have http routes only'));
  }
  for (const [index, route] of (spec.http ?? []).entries()) httpRouteErrors(route, `spec.http[${index}]`, errors);
  for (const kind of ['tcp', 'tls'] as const) {
    for (const [index, route] of (spec[kind] ?? []).entries()) {
      if ((route.route ?? []).length === 0) errors.push(required(`spec.${kind}[${index}].route`, 'at least one destination is needed'));
      weightErrors(route.route ?? [], `spec.${kind}[${index}].route`, errors);
    }
  }
  return errors;
}

function httpRouteErrors(route: HttpRoute, path: string, errors: FieldError[]): void {
  const destinations = route.route ?? [];
  const answers = [
    destinations.length > 0 && 'route',
    route.redirect && 'redirect',
    route.directResponse && 'directResponse',
    route.delegate && 'delegate',
  ].filter(Boolean);
  if (answers.length === 0) errors.push(required(path, 'HTTP route, redirect, directResponse or delegate is required'));
  if (answers.length > 1) errors.push(invalid(path, 'object', `HTTP route cannot contain both ${answers[0]} and ${answers[1]}`));
  weightErrors(destinations, `${path}.route`, errors);
  if (route.timeout !== undefined) durationErrors(route.timeout, `${path}.timeout`, errors);
  const { retries } = route;
  if (retries !== undefined) {
    if ((retries.attempts ?? 0) < 0) errors.push(atLeast(`${path}.retries.attempts`, retries.attempts as number, 0));
    if (retries.perTryTimeout !== undefined) durationErrors(retries.perTryTimeout, `${path}.retries.perTryTimeout`, errors);
    for (const policy of retries.retryOn?.split(',') ?? []) {
      const name = policy.trim();
      if (name === '' && retries.retryOn === '') continue;
      if (!retryPolicies.has(name) && !isStatusCode(name)) {
        errors.push(invalid(`${path}.retries.retryOn`, retries.retryOn ?? '', `"${name}" is no retry policy of Envoy or gRPC and no status code`));
      }
    }
  }
  percentErrors(route.mirrorPercentage?.value, `${path}.mirrorPercentage.value`, errors);
  percentErrors(route.fault?.delay?.percentage?.value, `${path}.fault.delay.percentage.value`, errors);
  percentErrors(route.fault?.delay?.percent, `${path}.fault.delay.percent`, errors);
  percentErrors(route.fault?.abort?.percentage?.value, `${path}.fault.abort.percentage.value`, errors);
  const abortStatus = route.fault?.abort?.httpStatus;
  if (abortStatus !== undefined && (abortStatus < statusCodes.min || abortStatus > statusCodes.max)) {
    errors.push(invalid(`${path}.fault.abort.httpStatus`, abortStatus, `must be a status code of ${statusCodes.min} to ${statusCodes.max}`));
  }
}

function weightErrors(destinations: readonly { readonly weight?: number }[], path: string, errors: FieldError[]): void {
  let total = 0;
  for (const [index, { weight }] of destinations.entries()) {
    if (weight !== undefined && weight < 0) errors.push(atLeast(`${path}[${index}].weight`, weight, 0));
    total += weight ?? 0;
  }
  if (destinations.length > 1 && total === 0) {
    errors.push(
      invalid(path, destinations.map(({ weight }) => weight ?? 0) as unknown as Json, 'total destination weight = 0, so no destination would get any request'),
    );
  }
}

function durationErrors(text: string, path: string, errors: FieldError[]): void {
  const value = durationMs(text);
  if (value === undefined || value < 0) errors.push(invalid(path, text, 'must be a valid duration, such as 1.5s'));
}

function percentErrors(value: number | undefined, path: string, errors: FieldError[]): void {
  if (value !== undefined && (value < 0 || value > maxPercent)) errors.push(invalid(path, value, `must be in the range of 0 to ${maxPercent}`));
}

function atLeast(path: string, value: number, least: number): FieldError {
  return invalid(path, value, `${path} in body should be greater than or equal to ${least}`);
}

function isStatusCode(text: string): boolean {
  return /^[1-5]\d\d$/.test(text);
}
