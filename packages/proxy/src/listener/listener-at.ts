/** Where a listener is: an address, or "any address" (0.0.0.0, ::), and a port. */
export interface ListenedAddress {
  readonly host: string;
  readonly port: number;
}

/** The listener that takes a redirected connection: whose address it was going to, else the first with that port of any address. */
export function listenerAt<Listener>(
  listeners: Iterable<Listener>,
  addressesOf: (listener: Listener) => Iterable<ListenedAddress>,
  ip: string,
  port: number,
): Listener | undefined {
  let wildcard: Listener | undefined;
  for (const listener of listeners) {
    for (const address of addressesOf(listener)) {
      if (address.port !== port) continue;
      if (address.host === ip) return listener;
      if (address.host === '0.0.0.0' || address.host === '::') wildcard ??= listener;
    }
  }
  return wildcard;
}
