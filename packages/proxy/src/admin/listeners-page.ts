import type { Listener } from '../listener/listener.ts';
import type { ListenerSet } from '../listener/listener-set.ts';

/** Envoy's /listeners in text: "NAME::ADDRESS", a line for each address. */
export function listenersText(listeners: ListenerSet): string {
  return Array.from(listeners.all, (listener) =>
    addressesOf(listener)
      .map((address) => `${listener.config.name}::${address}\n`)
      .join(''),
  ).join('');
}

/** envoy.admin.v3.Listeners; with `detail` also what is this proxy's own: connections, refusals, and what of the configuration has no effect. */
export function listenersJson(listeners: ListenerSet, detail: boolean): object {
  return {
    listener_statuses: Array.from(listeners.all, (listener) => {
      const [first, ...others] = addressesOf(listener).map(addressJson);
      return {
        name: listener.config.name,
        ...(first === undefined ? {} : { local_address: first }),
        ...(others.length === 0 ? {} : { additional_local_addresses: others }),
        ...(detail ? detailOf(listener) : {}),
      };
    }),
  };
}

function detailOf({ stats, connections, config, lastRefusal }: Listener): object {
  return {
    downstream_cx_total: stats.accepted,
    downstream_cx_active: connections.count,
    no_filter_chain_match: stats.noFilterChain,
    refused_by_filter: stats.refused,
    tls_refused: stats.tlsRefused,
    last_tls_refusal: lastRefusal,
    late_hello: stats.lateHello,
    overload_refused: stats.overflow + stats.globalOverflow + stats.shed,
    without_effect: config.ignored,
  };
}

function addressesOf(listener: Listener): string[] {
  const bound = listener.sockets.all.map((socket) => socket.bound);
  return bound.length > 0 || listener.address === '' ? bound : [listener.address];
}

function addressJson(text: string): object {
  if (text.startsWith('internal:')) return { envoy_internal_address: { server_listener_name: text.slice('internal:'.length) } };
  if (text.startsWith('/')) return { pipe: { path: text } };
  const colon = text.lastIndexOf(':');
  return { socket_address: { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port_value: Number(text.slice(colon + 1)) } };
}
