import type { HeaderOperations, Headers } from '@outrigger/resources';
import { HeaderValueOption_HeaderAppendAction, type HeaderValueOptionSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { Init } from '../messages.ts';
import type { ProxyNode } from '../node.ts';

type HeaderValueOption = Init<typeof HeaderValueOptionSchema>;

export interface HeaderFields {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

export function overwrite(key: string, value: string): HeaderValueOption {
  return { header: { key, value }, appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD };
}

/** RFC 9209: on what a route answers by itself, which Envoy does not sign. */
export function signature(node: ProxyNode, error: string, details: string): HeaderValueOption {
  return overwrite('proxy-status', `${node.workload}.${node.namespace}; error=${error}; details="${details}"`);
}

function isHost(name: string): boolean {
  const lower = name.toLowerCase();
  return lower === 'host' || lower === ':authority';
}

function added(operations: HeaderOperations | undefined): HeaderValueOption[] {
  const append = HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD;
  return [
    ...Object.entries(operations?.set ?? {})
      .filter(([name]) => !isHost(name))
      .map(([name, value]) => overwrite(name, value)),
    ...Object.entries(operations?.add ?? {}).map(([key, value]) => ({ header: { key, value }, appendAction: append })),
  ];
}

export function headerFields(headers: Headers | undefined): HeaderFields {
  return {
    requestHeadersToAdd: added(headers?.request),
    requestHeadersToRemove: [...(headers?.request?.remove ?? [])].filter((name) => !isHost(name)),
    responseHeadersToAdd: added(headers?.response),
    responseHeadersToRemove: [...(headers?.response?.remove ?? [])],
  };
}

/** A request header operation on Host is a rewrite of the authority. */
export function hostOperation(headers: Headers | undefined): string | undefined {
  for (const [name, value] of Object.entries({ ...headers?.request?.add, ...headers?.request?.set })) if (isHost(name)) return value;
  return undefined;
}

/** Who calls, for what an SVID does not say. Only believed where the connection is authenticated, never shown to an application. */
export const PEER_HEADER = 'x-outrigger-peer';
/** Envoy's header, with which a proxy of the mesh says that retrying is of no use. */
export const GIVEN_UP_HEADER = 'x-envoy-ratelimited';

/** What a route says who calls, until the route configuration says it: a route then is the same for all workloads. */
const SOMEBODY = '-';

/** Of a route to a meshed service. */
export const namesPeer = overwrite(PEER_HEADER, SOMEBODY);

/** Of a proxy's route configurations: nothing where the route has taken the header off. Runs after the routes' own (Envoy, most_specific_header_mutations_wins false). */
export function peerOf(node: ProxyNode): HeaderValueOption[] {
  if (node.dataPlane === 'grpc') return [];
  // "%" begins a command in Envoy's header values.
  const value = [node.workload, node.namespace, node.service, node.version].join(';').replaceAll('%', '%%');
  return [{ header: { key: PEER_HEADER, value }, appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS }];
}
