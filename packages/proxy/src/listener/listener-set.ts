import type { Listener as ListenerMessage } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { describeErrors } from '../routing/compile-result.ts';
import { compileListener } from '../xds/compile-listener.ts';
import type { ListenerConfig } from '../xds/listener-config.ts';
import { Listener, type ListenerParts } from './listener.ts';

/** A listener that was replaced or removed keeps its connections so long, ms; those that end sooner are not waited for. */
const DRAIN_MS = 2_000;

/** All listeners of a proxy by name. A new one takes over the socket of the one before it. */
export class ListenerSet {
  readonly #parts: ListenerParts;
  readonly #nodeId: string;
  readonly #listeners = new Map<string, Listener>();
  readonly #draining = new Set<Listener>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(parts: ListenerParts, nodeId: string) {
    this.#parts = parts;
    this.#nodeId = nodeId;
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
    const compiled = compileListener(message, this.#nodeId);
    return compiled.ok ? compiled.value : describeErrors(compiled.errors);
  }

  /**
   * Puts it into effect. The connections of the one before, whose filter chains (and so policies) may be others, are told
   * to end: HTTP/2 by GOAWAY, HTTP/1 by `Connection: close`, what is left after the drain time at once.
   */
  async set(config: ListenerConfig): Promise<void> {
    const before = this.#listeners.get(config.name);
    const listener = new Listener(this.#parts, config);
    try {
      await listener.bind(before);
    } catch (error) {
      listener.close();
      throw error;
    }
    this.#listeners.set(config.name, listener);
    if (before !== undefined) this.#retire(before);
  }

  remove(name: string): void {
    const listener = this.#listeners.get(name);
    if (listener === undefined) return;
    this.#listeners.delete(name);
    this.#retire(listener);
  }

  /** Accepts no more anywhere and asks every connection to end. */
  drain(): void {
    for (const listener of this.#listeners.values()) listener.drain();
  }

  get connectionCount(): number {
    let count = 0;
    for (const listener of this.withDraining) count += listener.connectionCount;
    return count;
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const listener of this.withDraining) listener.close();
    this.#listeners.clear();
    this.#draining.clear();
  }

  #retire(listener: Listener): void {
    listener.drain();
    this.#draining.add(listener);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#draining.delete(listener);
      listener.close();
    }, DRAIN_MS);
    this.#timers.add(timer);
  }
}
