import { continueTrace, makeRequestId, TRACE_HEADERS, type TraceContext, traceHeaders } from '@outrigger/telemetry';
import type { RequestHead } from '../http/message.ts';
import type { ConnectionInfo } from '../listener/connection-info.ts';
import { headerIndex, headerValue, removeHeader, setHeader } from '../routing/headers.ts';
import type { HttpManager } from './http-manager.ts';
import { needsNormalizing, normalizePath } from './path-normalizer.ts';

/** What entry makes of a request: go on, refuse with that status, or send elsewhere. */
export type Entry =
  | { readonly kind: 'go' }
  | { readonly kind: 'refuse'; readonly status: number; readonly details: string }
  | { readonly kind: 'redirect'; readonly path: string };

const GO: Entry = { kind: 'go' };
const REFUSE_PATH: Entry = { kind: 'refuse', status: 400, details: 'path_normalization_failed' };
const REFUSE_HOST: Entry = { kind: 'refuse', status: 400, details: 'missing_host_header' };

/** Its client cannot be told. */
export function rejected(status: number): Entry {
  return { kind: 'refuse', status, details: 'rejected_by_original_ip_detection' };
}

/**
 * What the HTTP connection manager does to every request before any filter sees it: host, path, request id,
 * x-forwarded-*, the client's certificate. Changes the head in place.
 */
export function enterRequest(manager: HttpManager, connection: ConnectionInfo, head: RequestHead): Entry {
  const { config } = manager;
  if (head.authority === '' && head.version !== 10) return REFUSE_HOST;
  if (config.stripAnyHostPort || config.stripMatchingHostPort || config.stripTrailingHostDot) stripHost(manager, connection, head);
  if (head.path !== '' && needsNormalizing(head.path)) {
    const normalized = normalizePath(head.path, config);
    if (normalized.verdict === 'reject') return REFUSE_PATH;
    if (normalized.verdict === 'redirect') return { kind: 'redirect', path: normalized.path };
    head.path = normalized.path;
  }
  const { headers } = head;
  const { useRemoteAddress, trustedHops } = config.clientAddress;
  if (useRemoteAddress) {
    const known = headerValue(headers, 'x-forwarded-for');
    if (!config.skipXffAppend && connection.remoteHost !== '')
      setHeader(headers, 'x-forwarded-for', known === undefined ? connection.remoteHost : `${known},${connection.remoteHost}`);
    // What a trusted hop has said stands.
    if (trustedHops === 0 || headerIndex(headers, 'x-forwarded-proto') < 0) setHeader(headers, 'x-forwarded-proto', connection.secure ? 'https' : 'http');
    if (config.appendXForwardedPort && connection.destinationPort > 0 && (trustedHops === 0 || headerIndex(headers, 'x-forwarded-port') < 0))
      setHeader(headers, 'x-forwarded-port', String(connection.destinationPort));
  } else {
    const index = headerIndex(headers, 'x-forwarded-proto');
    if (index < 0) headers.push('x-forwarded-proto', connection.secure ? 'https' : head.scheme);
    // HTTP/1 has no scheme of its own: as in Envoy the hop before says which it was.
    else if (head.version < 20 && (headers[index + 1] === 'https' || headers[index + 1] === 'http')) head.scheme = headers[index + 1]!;
  }
  if (config.schemeToOverwrite !== '') head.scheme = config.schemeToOverwrite;
  forwardClientCertificate(manager, connection, head);
  if (config.userAgent !== null) sayWho(config.userAgent, headers);
  if (config.via !== '') headers.push('via', config.via);
  return GO;
}

/** The request's id: the caller's, or a new one. */
export function requestIdOf(manager: HttpManager, connection: ConnectionInfo, head: RequestHead): string {
  const { config } = manager;
  const index = headerIndex(head.headers, 'x-request-id');
  if (index >= 0 && head.headers[index + 1] !== '') {
    // Envoy's edge: an id from outside is kept only where the configuration says so.
    const keep = config.preserveExternalRequestId || !config.clientAddress.useRemoteAddress || connection.mutual;
    if (keep || !config.generateRequestId) return head.headers[index + 1]!;
  }
  if (!config.generateRequestId) return '';
  const id = makeRequestId(manager.runtime.random);
  if (index >= 0) head.headers[index + 1] = id;
  else head.headers.push('x-request-id', id);
  return id;
}

/** The trace that this request is part of, the caller's or a new one; from here on its headers name this proxy's span. */
export function enterTrace(manager: HttpManager, head: RequestHead): TraceContext {
  const { headers } = head;
  const trace = continueTrace(headers, manager.runtime.random, manager.samplingRatio);
  for (let i = 0; i < TRACE_HEADERS.length; i++) removeHeader(headers, TRACE_HEADERS[i]!);
  const own = traceHeaders(trace);
  for (let i = 0; i < own.length; i++) headers.push(own[i]!);
  return trace;
}

/** add_user_agent: the client's own name of itself stays. */
function sayWho({ cluster, node }: { readonly cluster: string; readonly node: string }, headers: string[]): void {
  setHeader(headers, 'x-envoy-downstream-service-cluster', cluster);
  if ((headerValue(headers, 'user-agent') ?? '') === '') setHeader(headers, 'user-agent', cluster);
  setHeader(headers, 'x-envoy-downstream-service-node', node);
}

function stripHost(manager: HttpManager, connection: ConnectionInfo, head: RequestHead): void {
  const { config } = manager;
  let authority = head.authority;
  const colon = /:\d+$/.exec(authority);
  if (colon !== null && (config.stripAnyHostPort || (config.stripMatchingHostPort && colon[0] === `:${connection.destinationPort}`)))
    authority = authority.slice(0, colon.index);
  if (config.stripTrailingHostDot) authority = authority.replace(/\.(:\d+)?$/, '$1');
  head.authority = authority;
}

/** x-forwarded-client-cert, as forward_client_cert_details says. */
function forwardClientCertificate(manager: HttpManager, connection: ConnectionInfo, head: RequestHead): void {
  const mode = manager.config.forwardClientCert;
  if (mode === 'always-forward-only') return;
  const mutual = connection.mutual;
  if (mode === 'forward-only') {
    if (!mutual) removeHeader(head.headers, 'x-forwarded-client-cert');
    return;
  }
  if (!mutual || mode === 'sanitize') {
    removeHeader(head.headers, 'x-forwarded-client-cert');
    return;
  }
  const element = clientCertElement(manager, connection);
  const index = headerIndex(head.headers, 'x-forwarded-client-cert');
  if (index < 0) head.headers.push('x-forwarded-client-cert', element);
  else if (mode === 'sanitize-set') setHeader(head.headers, 'x-forwarded-client-cert', element);
  else head.headers[index + 1] += ',' + element;
}

/** Kept by the connection: every request of it gets the same. */
function clientCertElement(manager: HttpManager, connection: ConnectionInfo): string {
  if (connection.clientCertElement !== '') return connection.clientCertElement;
  const { certDetails } = manager.config;
  const { peer } = connection;
  const parts: string[] = [];
  if (connection.localUri !== '') parts.push(`By=${xfccValue(connection.localUri)}`);
  parts.push(`Hash=${peer.sha256}`);
  if (certDetails.subject) parts.push(`Subject="${peer.subject.replace(/["\\]/g, '\\$&')}"`);
  if (certDetails.uri) parts.push(...(peer.names.uri.length > 0 ? peer.names.uri.map((uri) => `URI=${xfccValue(uri)}`) : ['URI=']));
  if (certDetails.dns) parts.push(...peer.names.dns.map((name) => `DNS=${xfccValue(name)}`));
  connection.clientCertElement = parts.join(';');
  return connection.clientCertElement;
}

/** A name that holds what separates elements and pairs is quoted, so that it cannot make up others (Envoy's x-forwarded-client-cert). */
function xfccValue(text: string): string {
  return /[,;="\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}
