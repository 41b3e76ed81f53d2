import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/** Sidecars listen from here to where the system's own choices for outgoing connections begin: one of those could take a port before it is bound. */
const firstPort = 16_000;
const usualFirstEphemeralPort = 32_768;
/** Where the range is full, the system chooses. */
const maxTries = 20_000;

export interface PortWishes {
  /** Taken where they are free, by index. */
  readonly preferred?: readonly number[];
  /** Ports that are promised to somebody who may not have bound them yet. Asked while those that are given are held. */
  readonly promised?: () => ReadonlySet<number>;
  /** Writes the ports down for `promised` of others, while they are held: nobody finds them neither in use nor promised. */
  readonly promise?: (ports: readonly number[]) => void | Promise<void>;
  /** 0 to 1: where the search begins, so that several who search do not meet. */
  readonly random?: () => number;
}

/** Ports of loopback that are free now, all different. */
export async function freePorts(count: number, { preferred = [], promised, promise, random = Math.random }: PortWishes = {}): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  const end = firstEphemeralPort();
  const size = Math.max(1, end - firstPort);
  let next = Math.floor(random() * size);
  const take = async (port: number): Promise<boolean> => {
    const server = await listen(port);
    if (server === undefined) return false;
    held.push(server);
    const bound = (server.address() as { port: number }).port;
    if (promised?.().has(bound) === true) return false;
    ports.push(bound);
    return true;
  };
  try {
    for (let index = 0; index < count; index++) {
      const wanted = preferred[index];
      if (wanted !== undefined && (await take(wanted))) continue;
      let found = false;
      for (let tries = 0; !found && tries < Math.min(size, maxTries); tries++) found = await take(firstPort + (next++ % size));
      while (!found) found = await take(0);
    }
    await promise?.(ports);
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function firstEphemeralPort(): number {
  try {
    return Number(/^(\d+)\s/.exec(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'))?.[1] ?? usualFirstEphemeralPort);
  } catch {
    // Not Linux: the range begins higher there.
    return usualFirstEphemeralPort;
  }
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1' }, () => resolve(server));
  });
}
