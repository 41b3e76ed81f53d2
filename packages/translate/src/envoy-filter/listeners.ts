import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { TrafficDirection } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  FilterSchema,
  ListenerFilterSchema,
} from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { VIRTUAL_INBOUND } from '../capture/inbound.ts';
import { gatewayPorts } from '../gateways/ports.ts';
import { inboundListenerName } from '../listeners/inbound.ts';
import type { Reader } from '../reader.ts';
import { handedOn, patchedBy } from './applied.ts';
import { nameOf } from './clusters.ts';
import { isNamed, mergedConfig } from './filter-config.ts';
import { patchedHttpFilters } from './http-filters.ts';
import { attempt, decodedValue, type Patch, type PatchContext, patchesOf } from './patches.ts';
import { merged, placed, withFields } from './places.ts';
import { patchedRoutes } from './routes.ts';

/** A listener as EnvoyFilters leave it; also one that they add. */
export function patchedListener(reader: Reader, name: string, made: Listener | undefined): Listener | undefined {
  return patchedBy(reader, () => (made === undefined ? addedListener(reader, name) : changedListener(reader, name, made)));
}

function changedListener(reader: Reader, name: string, made: Listener): Listener | undefined {
  const context = contextOf(reader, made);
  let listener = made;
  for (const patch of patchesOf(reader, 'LISTENER', context)) {
    if (patch.operation === 'ADD' || !ofListener(reader, patch, listener)) continue;
    if (patch.operation === 'REMOVE') {
      attempt(reader, patch, () => {});
      return undefined;
    }
    if (patch.operation !== 'MERGE') {
      reader.ignored(patch.filter, `${patch.field}.patch.operation`, `a listener is merged, added or removed, not ${patch.operation}`);
      continue;
    }
    listener = withFields(merged(reader, patch, ListenerSchema, listener), { name });
  }
  for (const patch of patchesOf(reader, 'LISTENER_FILTER', context)) {
    if (!ofListener(reader, patch, listener)) continue;
    const wanted = patch.match.listener?.listenerFilter ?? '';
    const at = wanted === '' ? undefined : (one: { readonly name: string }) => one.name === wanted;
    const listenerFilters = placed(reader, patch, listener.listenerFilters, { schema: ListenerFilterSchema, at });
    listener = withFields(listener, { listenerFilters });
  }
  return patchedChains(reader, listener, context);
}

function contextOf(reader: Reader, { trafficDirection }: Listener): PatchContext {
  if (reader.node.gateway !== undefined) return 'GATEWAY';
  return trafficDirection === TrafficDirection.INBOUND ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
}

function additions(reader: Reader): readonly Patch[] {
  const contexts: readonly PatchContext[] = reader.node.gateway === undefined ? ['SIDECAR_OUTBOUND', 'SIDECAR_INBOUND'] : ['GATEWAY'];
  const all = contexts.flatMap((context) => patchesOf(reader, 'LISTENER', context)).filter(({ operation }) => operation === 'ADD');
  return [...new Set(all)];
}

/** Names of the listeners that EnvoyFilters add for the node. */
export function addedListenerNames(reader: Reader): readonly string[] {
  return additions(reader)
    .map(nameOf)
    .filter((name) => name !== '');
}

function addedListener(reader: Reader, name: string): Listener | undefined {
  let listener: Listener | undefined;
  for (const patch of additions(reader)) {
    if (nameOf(patch) !== name || listener !== undefined) continue;
    attempt(reader, patch, (types) => {
      listener = decodedValue(patch, ListenerSchema, types);
    });
  }
  return listener;
}

function patchedChains(reader: Reader, listener: Listener, context: PatchContext): Listener {
  const patched = (chain: FilterChain): FilterChain | undefined => patchedBy(reader, () => patchedChain(reader, listener, chain, context));
  const chains = listener.filterChains.flatMap((chain) => patched(chain) ?? []);
  for (const patch of patchesOf(reader, 'FILTER_CHAIN', context)) {
    if (patch.operation === 'ADD' && ofListener(reader, patch, listener))
      chains.splice(0, chains.length, ...placed(reader, patch, chains, { schema: FilterChainSchema, at: undefined }));
  }
  const { defaultFilterChain } = listener;
  const next = withFields(listener, { filterChains: chains });
  if (defaultFilterChain !== undefined) {
    const chain = patched(defaultFilterChain);
    if (chain === undefined) delete (next as { defaultFilterChain?: unknown }).defaultFilterChain;
    else next.defaultFilterChain = chain;
  }
  return next;
}

function patchedChain(reader: Reader, listener: Listener, made: FilterChain, context: PatchContext): FilterChain | undefined {
  let chain = made;
  for (const patch of patchesOf(reader, 'FILTER_CHAIN', context)) {
    if (patch.operation === 'ADD' || !ofChain(reader, patch, listener, chain)) continue;
    if (patch.operation === 'REMOVE') {
      attempt(reader, patch, () => {});
      return undefined;
    }
    if (patch.operation === 'MERGE') chain = merged(reader, patch, FilterChainSchema, chain);
    else reader.ignored(patch.filter, `${patch.field}.patch.operation`, `a filter chain is merged, added or removed, not ${patch.operation}`);
  }
  let { filters } = chain;
  for (const patch of patchesOf(reader, 'NETWORK_FILTER', context)) {
    if (!ofChain(reader, patch, listener, chain)) continue;
    const wanted = patch.match.listener?.filterChain?.filter?.name ?? '';
    const at = wanted === '' ? undefined : (one: Filter) => isNamed(wanted, one.name);
    if (patch.operation === 'MERGE') filters = filters.map((filter) => (at === undefined || at(filter) ? mergedFilter(reader, patch, filter) : filter));
    else filters = placed(reader, patch, filters, { schema: FilterSchema, at, addedAt: () => filters.length });
  }
  return withFields(chain, { filters: filters.map((filter) => patchedManager(reader, listener, chain, filter, context)) });
}

function mergedFilter(reader: Reader, patch: Patch, made: Filter): Filter {
  let filter = made;
  attempt(reader, patch, (types) => {
    const value = decodedValue(patch, FilterSchema, types);
    filter = withFields(made, { name: value.name || made.name, configType: mergedConfig(made, value, types) });
  });
  return filter;
}

/** A connection manager's own filters, and the routes that stand in it. */
function patchedManager(reader: Reader, listener: Listener, chain: FilterChain, filter: Filter, context: PatchContext): Filter {
  const config = filter.configType;
  if (config.case !== 'typedConfig' || !config.value.typeUrl.endsWith(`/${HttpConnectionManagerSchema.typeName}`)) return filter;
  const manager = fromBinary(HttpConnectionManagerSchema, config.value.value);
  const patches = patchesOf(reader, 'HTTP_FILTER', context).filter((patch) => {
    const wanted = patch.match.listener?.filterChain?.filter?.name ?? '';
    return ofChain(reader, patch, listener, chain) && (wanted === '' || isNamed(wanted, filter.name));
  });
  const next = withFields<HttpConnectionManager>(manager, { httpFilters: patchedHttpFilters(reader, patches, manager.httpFilters) });
  const routes = manager.routeSpecifier;
  if (routes.case === 'routeConfig') {
    const table = patchedRoutes(reader, routes.value, context);
    handedOn(reader, [table, ...table.virtualHosts, ...table.virtualHosts.flatMap((host) => host.routes)]);
    next.routeSpecifier = { case: 'routeConfig', value: table };
  }
  const value = toBinary(HttpConnectionManagerSchema, next) as Any['value'];
  return withFields(filter, { configType: { case: 'typedConfig', value: withFields(config.value, { value }) } });
}

function ofListener(reader: Reader, { match }: Patch, listener: Listener): boolean {
  const wanted = match.listener;
  if (wanted === undefined) return true;
  if ((wanted.name ?? '') !== '' && wanted.name !== listener.name) return false;
  const { portNumber = 0 } = wanted;
  return portNumber === 0 || listener.name === VIRTUAL_INBOUND || portsOf(reader, listener).includes(portNumber);
}

/** The ports that a person may mean by a listener's: the one it has, and the one that it stands for. */
function portsOf(reader: Reader, listener: Listener): readonly number[] {
  const address = listener.address?.address;
  const bound = address?.case === 'socketAddress' && address.value.portSpecifier.case === 'portValue' ? address.value.portSpecifier.value : 0;
  if (reader.node.gateway !== undefined) return [bound, ...gatewayPorts(reader).flatMap(({ port, declaredPort }) => (port === bound ? [declaredPort] : []))];
  const inbound = reader.node.inbound.find((port) => inboundListenerName(port) === listener.name);
  const upstream = reader.node.upstreams.find((port) => port.address.port === bound);
  return [bound, ...(inbound === undefined ? [] : [inbound.application.port]), ...(upstream === undefined ? [] : [upstream.port])];
}

function ofChain(reader: Reader, patch: Patch, listener: Listener, chain: FilterChain): boolean {
  if (!ofListener(reader, patch, listener)) return false;
  const { portNumber = 0, filterChain } = patch.match.listener ?? {};
  const match = chain.filterChainMatch;
  if (listener.name === VIRTUAL_INBOUND && portNumber !== 0 && match?.destinationPort !== portNumber) return false;
  if (filterChain === undefined) return true;
  const { name = '', sni = '', transportProtocol = '', applicationProtocols = '', destinationPort = 0, transportSocket = '' } = filterChain;
  if (name !== '' && name !== chain.name) return false;
  if (transportSocket !== '' && transportSocket !== chain.transportSocket?.name) return false;
  if (sni !== '' && match?.serverNames.includes(sni) !== true) return false;
  if (transportProtocol !== '' && match?.transportProtocol !== transportProtocol) return false;
  if (applicationProtocols !== '' && !applicationProtocols.split(',').every((one) => match?.applicationProtocols.includes(one.trim()))) return false;
  return destinationPort === 0 || match?.destinationPort === destinationPort;
}
