import type { Listener as ListenerMessage } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { atOnce, type Slices, type Steps } from '@outrigger/xds/slices';
import { describeErrors } from '../routing/compile-result.ts';
import { listenerSteps } from '../xds/compile-listener.ts';
import { allFilterChains, type ListenerConfig, type SocketAddress } from '../xds/listener-config.ts';
import { ListenerError } from './listen-socket.ts';
import { Listener, managerSteps } from './listener.ts';
import { listenerAt } from './listener-at.ts';
import type { ListenerParts } from './listener-parts.ts';

/** A listener that was replaced or removed keeps its idle connections so long, ms: an HTTP/1 client may be sending on one. */
const IDLE_DRAIN_MS = 2_000;
/** Its requests under way have so long to end, ms. TCP connections, whose policy may be another by now, go with the idle ones. */
const REQUEST_DRAIN_MS = 60_000;

const NONE: ReadonlySet<string> = new Set();

/** All listeners of a proxy by name. A new one takes over the socket of the one before it. */
export class ListenerSet {
  readonly #parts: ListenerParts;
  readonly #nodeId: string;
  readonly #nodeCluster: string;
  readonly #listeners = new Map<string, Listener>();
  readonly #draining = new Set<Listener>();
  readonly #timers = new Map<Listener, readonly NodeJS.Timeout[]>();

  constructor(parts: ListenerParts, nodeId: string, nodeCluster = '') {
    this.#parts = parts;
    this.#nodeId = nodeId;
    this.#nodeCluster = nodeCluster;
  }

  get all(): Iterable<Listener> {
    return this.#listeners.values();
  }

  /** Those too whose connections are ending. */
  get withDraining(): Iterable<Listener> {
    return [...this.#listeners.values(), ...this.#draining];
  }

  get(name: string): Listener | undefined {
    return this.#listeners.get(name);
  }

  /** A text says why it cannot be taken. */
  compile(message: ListenerMessage): ListenerConfig | string {
    return atOnce(this.compileSteps(message));
  }

  *compileSteps(message: ListenerMessage): Steps<ListenerConfig | string> {
    const compiled = yield* listenerSteps(message, this.#nodeId, this.#nodeCluster);
    return compiled.ok ? compiled.value : describeErrors(compiled.errors);
  }

  /**
   * Puts it into effect. Connections of the one before whose filter chain (and so policies) is another by now are told to end:
   * HTTP/2 by GOAWAY, HTTP/1 by `Connection: close`. Those of a chain that is the same stay, unless the listener itself has changed. `leaving`: those that are about to be removed, whose address it
   * may have. With `slices` its connection managers are made in some of them.
   */
  async set(config: ListenerConfig, leaving: readonly string[] = [], slices: Slices | null = null): Promise<void> {
    const steps = managerSteps(this.#parts, config);
    const managers = slices === null ? atOnce(steps) : await slices.run(steps);
    const before = this.#listeners.get(config.name);
    const givers = [before, ...leaving.map((name) => this.#listeners.get(name))].filter((listener) => listener !== undefined);
    const listener = new Listener(this.#parts, config, managers, before);
    try {
      this.#refuseTaken(config, givers);
      await listener.bind({
        // Port 0 is another port for each.
        holds: (address) => givers.some((giver) => (giver === before || !isAnyPort(address)) && giver.sockets.holds(address)),
        release: (address) => givers.find((giver) => giver.sockets.holds(address))?.sockets.release(address),
      });
    } catch (error) {
      listener.close();
      throw error;
    }
    this.#listeners.set(config.name, listener);
    this.#parts.onSockets();
    const chains = new Set(allFilterChains(config).map(({ fingerprint }) => fingerprint));
    // Those before it may have kept connections of chains that it has had.
    for (const older of [before, ...this.#draining].filter((one) => one?.config.name === config.name))
      this.#retire(older!, older!.config.fingerprint === config.fingerprint ? chains : NONE);
  }

  #refuseTaken(config: ListenerConfig, givers: readonly Listener[]): void {
    for (const address of addressesOf(config)) {
      const holder = this.#holderOf(address);
      if (holder === undefined || givers.includes(holder)) continue;
      const what = `listener ${config.name} has the address of listener ${holder.config.name}; give it another, or remove that one`;
      throw new ListenerError('bind', what, undefined);
    }
  }

  #holderOf(address: SocketAddress): Listener | undefined {
    if (isAnyPort(address)) return undefined;
    for (const listener of this.#listeners.values()) if (listener.sockets.holds(address)) return listener;
    return undefined;
  }

  /** Whose address that is, or "any address" of that port. */
  at(ip: string, port: number): Listener | undefined {
    return listenerAt(this.#listeners.values(), ({ config }) => addressesOf(config).filter((address) => address.kind === 'socket'), ip, port);
  }

  remove(name: string): void {
    const listener = this.#listeners.get(name);
    if (listener === undefined) return;
    this.#listeners.delete(name);
    for (const older of [listener, ...this.#draining].filter((one) => one.config.name === name)) this.#retire(older, NONE);
    this.#parts.onSockets();
  }

  /** Accepts no more anywhere and asks every connection to end. `patient`: one that is idle may bring one more request, until `endIdle`. */
  drain(patient = false): void {
    for (const listener of this.withDraining) listener.drain(patient);
  }

  /** Takes no new connection; with `graceful` those that are there are asked to end, as they come to it. */
  stopAccepting(graceful: boolean, inboundOnly: boolean): void {
    for (const listener of this.#listeners.values()) {
      if (inboundOnly && listener.config.direction !== 'inbound') continue;
      if (graceful) listener.drain(true);
      else listener.stopAccepting();
    }
  }

  /** Of HTTP connections those without a request under way; TCP connections are never idle to us. */
  endIdle(): void {
    for (const listener of this.withDraining) listener.connections.endIdleHttp();
  }

  /** Nothing that was accepted is open any more, not even in the midst of its TLS handshake. */
  get empty(): boolean {
    for (const listener of this.withDraining) if (listener.openCount > 0) return false;
    return true;
  }

  /** Why it is not empty, in words. */
  get underWay(): string {
    let [open, tcp, requests] = [0, 0, 0];
    for (const listener of this.withDraining) {
      const { underWay } = listener.connections;
      open += listener.openCount;
      tcp += underWay.tcpConnections;
      requests += underWay.requests;
    }
    return `open connections: ${open}, of which TCP, that say nothing of being idle: ${tcp}; requests under way: ${requests}`;
  }

  get connectionCount(): number {
    let count = 0;
    for (const listener of this.withDraining) count += listener.connections.count;
    return count;
  }

  close(): void {
    for (const listener of [...this.#timers.keys()]) this.#disarm(listener);
    for (const listener of this.withDraining) listener.close();
    this.#listeners.clear();
    this.#draining.clear();
  }

  #retire(listener: Listener, kept: ReadonlySet<string>): void {
    const close = (): void => {
      this.#disarm(listener);
      this.#draining.delete(listener);
      listener.close();
    };
    const endIdle = (): void => {
      listener.connections.endIdle();
      listener.connections.onEmpty = close;
      if (listener.connections.count === 0) close();
    };
    const endRequests = (): void => {
      if (kept.size === 0) close();
      else listener.connections.endDraining();
    };
    this.#disarm(listener);
    this.#draining.add(listener);
    this.#timers.set(listener, [setTimeout(endIdle, IDLE_DRAIN_MS), setTimeout(endRequests, REQUEST_DRAIN_MS)]);
    listener.drain(true, kept);
  }

  #disarm(listener: Listener): void {
    for (const timer of this.#timers.get(listener) ?? []) clearTimeout(timer);
    this.#timers.delete(listener);
  }
}

function addressesOf({ address, additionalAddresses }: ListenerConfig): SocketAddress[] {
  return [...(address.kind === 'internal' ? [] : [address]), ...additionalAddresses.map((additional) => additional.address)];
}

function isAnyPort(address: SocketAddress): boolean {
  return address.kind === 'socket' && address.port === 0;
}
