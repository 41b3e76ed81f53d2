import { durationMs } from '../duration.ts';
import type { StringMatch } from '../kinds/shared.ts';
import type { CorsPolicy, HttpFaultInjection, HttpMatchRequest, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute } from '../kinds/virtual-service.ts';
import { type FieldError, forbidden, invalid, required } from '../schema/field-error.ts';
import { atLeast, checkDuration, checkLabels, checkPercent, checkPort, checkRegex } from './checks.ts';
import { checkDestination, checkGatewayNames, checkWeights } from './destinations.ts';
import { checkHeaders, isAuthority, isMatchableHeader, isToken } from './http-headers.ts';
import { isDnsLabel } from './names.ts';

const statusCodes = { min: 200, max: 599 };
const maxBodyBytes = 1024 * 1024;
/** A share below it is none for Envoy, which counts in millionths. */
const leastPercent = 0.0001;

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

const corsMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', '*']);

/** The status names of gRPC's protocol. */
const grpcStatuses: ReadonlySet<string> = new Set([
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
]);

export function checkHttpRoute(route: HttpRoute, path: string, inDelegate: boolean, errors: FieldError[]): void {
  checkAnswer(route, path, inDelegate, errors);
  for (const [index, match] of (route.match ?? []).entries()) checkMatch(match, `${path}.match[${index}]`, errors);
  checkHeaders(route.headers, path, errors);
  checkCors(route.corsPolicy, `${path}.corsPolicy`, errors);
  checkFault(route.fault, `${path}.fault`, errors);
  checkMirrors(route, path, errors);
  if (route.redirect !== undefined) checkRedirect(route.redirect, route.match ?? [], `${path}.redirect`, errors);
  if (route.directResponse !== undefined) {
    const { status, body } = route.directResponse;
    checkStatus(status, `${path}.directResponse.status`, errors);
    if (Math.max(body?.string?.length ?? 0, ((body?.bytes?.length ?? 0) * 3) / 4) > maxBodyBytes)
      errors.push(invalid(`${path}.directResponse.body`, 'object', 'must be smaller than 1 MB'));
  }
  if (route.retries !== undefined) checkRetries(route.retries, `${path}.retries`, errors);
  if (route.rewrite !== undefined) checkRewrite(route.rewrite, `${path}.rewrite`, errors);
  checkAuthorityOnce(route, path, errors);
  const destinations = route.route ?? [];
  for (const [index, { destination, headers }] of destinations.entries()) {
    checkHeaders(headers, `${path}.route[${index}]`, errors);
    checkDestination(destination, `${path}.route[${index}].destination`, errors);
  }
  checkWeights(destinations, `${path}.route`, errors);
  checkDuration(route.timeout, `${path}.timeout`, errors);
}

/** A route answers in one way: by its destinations, a redirect, a response of its own, or a delegate's routes. */
function checkAnswer(route: HttpRoute, path: string, inDelegate: boolean, errors: FieldError[]): void {
  const destinations = (route.route ?? []).length > 0;
  const exclusive = (left: string, right: string): void => {
    errors.push(forbidden(`${path}.${right}`, `HTTP route cannot contain both ${left} and ${right}`));
  };
  if (route.delegate !== undefined) {
    if (inDelegate) errors.push(forbidden(`${path}.delegate`, 'a delegate cannot have a delegate'));
    else {
      if (route.redirect !== undefined) exclusive('delegate', 'redirect');
      if (destinations) exclusive('delegate', 'route');
      return;
    }
  }
  const answer = route.redirect !== undefined ? 'redirect' : route.directResponse !== undefined ? 'directResponse' : undefined;
  if (answer !== undefined) {
    if (destinations) exclusive('route', answer);
    if (route.fault !== undefined) exclusive('fault', answer);
    if (route.rewrite !== undefined) exclusive('rewrite', answer);
    if (answer === 'redirect' && route.directResponse !== undefined) exclusive('redirect', 'directResponse');
  } else if (!destinations) errors.push(required(path, 'HTTP route, redirect, directResponse or delegate is required'));
}

function checkMatch(match: HttpMatchRequest, path: string, errors: FieldError[]): void {
  for (const field of ['headers', 'withoutHeaders'] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      if (!isMatchableHeader(name)) errors.push(invalid(`${path}.${field}`, name, 'is no name of a header'));
      // In withoutHeaders "*" says "whatever its value".
      if (field === 'headers' || value?.regex !== '*') checkStringMatch(value, `${path}.${field}.${name}`, errors);
    }
  }
  if (match.uri?.regex !== undefined) checkRegex(match.uri.regex, `${path}.uri.regex`, errors);
  for (const field of ['scheme', 'method', 'authority'] as const) checkStringMatch(match[field], `${path}.${field}`, errors);
  for (const [name, value] of Object.entries(match.queryParams ?? {})) checkStringMatch(value, `${path}.queryParams.${name}`, errors);
  if (match.port !== 0) checkPort(match.port, `${path}.port`, errors);
  checkLabels(match.sourceLabels, `${path}.sourceLabels`, errors);
  checkGatewayNames(match.gateways, `${path}.gateways`, errors);
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== '' && !isDnsLabel(match.sourceNamespace))
    errors.push(invalid(`${path}.sourceNamespace`, match.sourceNamespace, 'is no name of a namespace'));
}

function checkStringMatch(match: StringMatch | undefined, path: string, errors: FieldError[]): void {
  if (match?.prefix === '') errors.push(invalid(`${path}.prefix`, '', 'a prefix must not be empty'));
  if (match?.regex !== undefined) checkRegex(match.regex, `${path}.regex`, errors);
}

function checkCors(policy: CorsPolicy | undefined, path: string, errors: FieldError[]): void {
  if (policy === undefined) return;
  for (const [index, origin] of (policy.allowOrigins ?? []).entries()) {
    const place = `${path}.allowOrigins[${index}]`;
    if (origin.regex !== undefined) checkRegex(origin.regex, `${place}.regex`, errors);
    else if ((origin.exact ?? '') === '' && (origin.prefix ?? '') === '') errors.push(invalid(place, 'object', 'an origin must not be empty'));
  }
  for (const [index, method] of (policy.allowMethods ?? []).entries()) {
    if (!corsMethods.has(method)) errors.push(invalid(`${path}.allowMethods[${index}]`, method, 'is no method of HTTP'));
  }
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    for (const [index, name] of (policy[field] ?? []).entries()) {
      if (!isToken(name)) errors.push(invalid(`${path}.${field}[${index}]`, name, 'is no name of a header'));
    }
  }
  checkDuration(policy.maxAge, `${path}.maxAge`, errors);
  if (policy.maxAge !== undefined && (durationMs(policy.maxAge) ?? 0) % 1000 > 0)
    errors.push(invalid(`${path}.maxAge`, policy.maxAge, 'must be a duration of whole seconds'));
}

function checkFault(fault: HttpFaultInjection | undefined, path: string, errors: FieldError[]): void {
  if (fault === undefined) return;
  const { abort, delay } = fault;
  if (abort === undefined && delay === undefined) errors.push(required(path, 'an abort, a delay or both'));
  for (const [name, value] of Object.entries({ abort: abort?.percentage?.value, delay: delay?.percentage?.value })) {
    checkPercent(value, `${path}.${name}.percentage.value`, errors);
    if (value !== undefined && value > 0 && value < leastPercent)
      errors.push(invalid(`${path}.${name}.percentage.value`, value, `must be 0, or ${leastPercent} at least`));
  }
  checkPercent(delay?.percent, `${path}.delay.percent`, errors);
  if (abort?.httpStatus !== undefined) checkStatus(abort.httpStatus, `${path}.abort.httpStatus`, errors);
  if (abort?.http2Error !== undefined) errors.push(forbidden(`${path}.abort.http2Error`, 'resets of HTTP/2 streams cannot be injected'));
  if (abort?.grpcStatus !== undefined && !grpcStatuses.has(abort.grpcStatus))
    errors.push(invalid(`${path}.abort.grpcStatus`, abort.grpcStatus, 'must be the name of a gRPC status, such as NOT_FOUND'));
  checkDuration(delay?.fixedDelay, `${path}.delay.fixedDelay`, errors);
  if (delay?.exponentialDelay !== undefined) errors.push(forbidden(`${path}.delay.exponentialDelay`, 'is not supported: use fixedDelay'));
}

function checkMirrors(route: HttpRoute, path: string, errors: FieldError[]): void {
  if (route.mirror !== undefined && (route.mirrors ?? []).length > 0)
    errors.push(forbidden(`${path}.mirrors`, 'HTTP route cannot contain both mirror and mirrors'));
  for (const field of ['mirrorPercent', 'mirror_percent'] as const) checkPercent(route[field], `${path}.${field}`, errors);
  checkPercent(route.mirrorPercentage?.value, `${path}.mirrorPercentage.value`, errors);
  if (route.mirror !== undefined) checkDestination(route.mirror, `${path}.mirror`, errors);
  for (const [index, { destination, percentage }] of (route.mirrors ?? []).entries()) {
    checkDestination(destination, `${path}.mirrors[${index}].destination`, errors);
    checkPercent(percentage?.value, `${path}.mirrors[${index}].percentage.value`, errors);
  }
}

function checkRedirect(redirect: HttpRedirect, matches: readonly HttpMatchRequest[], path: string, errors: FieldError[]): void {
  const { uri = '', prefixRewrite = '', authority = '', scheme = '', redirectCode = 0 } = redirect;
  if (uri !== '' && prefixRewrite !== '') errors.push(forbidden(`${path}.prefixRewrite`, 'a redirect has a uri or a prefixRewrite, not both'));
  if (prefixRewrite !== '' && matches.some((match) => match.uri !== undefined && match.uri.prefix === undefined))
    errors.push(invalid(`${path}.prefixRewrite`, prefixRewrite, 'needs matches by a prefix of the path'));
  const port = redirect.port !== undefined || redirect.derivePort !== undefined;
  if (uri === '' && prefixRewrite === '' && authority === '' && scheme === '' && !port) errors.push(required(path, 'a uri, an authority, a scheme or a port'));
  if (redirectCode !== 0 && (redirectCode < 300 || redirectCode > 399))
    errors.push(invalid(`${path}.redirectCode`, redirectCode, 'must be a status code of 300 to 399'));
  if (!['', 'http', 'https'].includes(scheme)) errors.push(invalid(`${path}.scheme`, scheme, 'must be http or https'));
  if (redirect.port !== 0) checkPort(redirect.port, `${path}.port`, errors);
}

function checkRetries(retries: HttpRetry, path: string, errors: FieldError[]): void {
  const { attempts = 0, retryOn = '' } = retries;
  if (attempts < 0) errors.push(atLeast(`${path}.attempts`, attempts, 0));
  if (attempts === 0 && (retries.perTryTimeout !== undefined || retryOn !== '' || typeof retries.retryRemoteLocalities === 'boolean'))
    errors.push(invalid(`${path}.attempts`, attempts, 'retries are off with 0 attempts, and the other settings of them are without effect'));
  checkDuration(retries.perTryTimeout, `${path}.perTryTimeout`, errors);
  checkDuration(retries.backoff, `${path}.backoff`, errors);
  if (retryOn === '') return;
  for (const policy of retryOn.split(',')) {
    const name = policy.trim();
    if (!retryPolicies.has(name) && !/^[1-5]\d\d$/.test(name))
      errors.push(invalid(`${path}.retryOn`, retryOn, `"${name}" is no retry policy of Envoy or gRPC and no status code`));
  }
}

function checkRewrite({ uri = '', authority = '', uriRegexRewrite }: HttpRewrite, path: string, errors: FieldError[]): void {
  if (uri !== '' && uriRegexRewrite !== undefined) errors.push(forbidden(`${path}.uriRegexRewrite`, 'a rewrite has a uri or a uriRegexRewrite, not both'));
  if (uri === '' && uriRegexRewrite === undefined && authority === '') errors.push(required(path, 'a uri, a uriRegexRewrite or an authority'));
  if (uriRegexRewrite === undefined) return;
  const { match = '', rewrite = '' } = uriRegexRewrite;
  if (match === '' || rewrite === '') errors.push(required(`${path}.uriRegexRewrite`, 'match and rewrite'));
  else checkRegex(match, `${path}.uriRegexRewrite.match`, errors);
}

/** The host of a request is rewritten in one place. */
function checkAuthorityOnce(route: HttpRoute, path: string, errors: FieldError[]): void {
  const { set, add } = route.headers?.request ?? {};
  const places = [...Object.keys(set ?? {}), ...Object.keys(add ?? {})].filter(isAuthority).length;
  if (places + ((route.rewrite?.authority ?? '') === '' ? 0 : 1) > 1)
    errors.push(forbidden(`${path}.headers.request`, 'the authority is rewritten more than once'));
}

function checkStatus(status: number, path: string, errors: FieldError[]): void {
  if (status < statusCodes.min || status > statusCodes.max)
    errors.push(invalid(path, status, `must be a status code of ${statusCodes.min} to ${statusCodes.max}`));
}
