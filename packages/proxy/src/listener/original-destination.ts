import net from 'node:net';
import { descriptorOf, type SocketCalls } from '../net/socket-calls.ts';
import type { ConnectionOrigin } from './connection-origin.ts';

/** ip(7), and linux/netfilter_ipv6/ip6_tables.h. */
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SO_ORIGINAL_DST = 80;
/** struct sockaddr_in: family (2 bytes), port (2), address (4), 8 of padding; sockaddr_in6: family, port, flow (4), address (16), scope (4). */
const SOCKADDR_IN_BYTES = 16;
const SOCKADDR_IN6_BYTES = 28;

/**
 * envoy.filters.listener.original_dst: where the client meant to go before the kernel turned its connection round to this proxy. At a transparent
 * socket a connection has that address still.
 */
export function restoreOriginalDestination(calls: SocketCalls, socket: net.Socket, origin: ConnectionOrigin, transparent = false): void {
  if (transparent) {
    origin.restored = true;
    return;
  }
  const fd = descriptorOf(socket);
  if (fd < 0) return;
  const ipv6 = net.isIPv6(origin.localIp);
  const address = ipv6 ? calls.getOption(fd, SOL_IPV6, SO_ORIGINAL_DST, SOCKADDR_IN6_BYTES) : calls.getOption(fd, SOL_IP, SO_ORIGINAL_DST, SOCKADDR_IN_BYTES);
  if (address === null) return;
  const port = address.readUInt16BE(2);
  const ip = ipv6 ? ipv6Of(address.subarray(8, 24)) : address.subarray(4, 8).join('.');
  origin.restored = ip !== origin.localIp || port !== origin.localPort;
  origin.localIp = ip;
  origin.localPort = port;
}

export function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new net.SocketAddress({ family: 'ipv6', address: groups.join(':') }).address;
}
