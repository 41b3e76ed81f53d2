import type { Node } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import type { Caller, Change, ResourceSource, ResourceView } from '../source.ts';
import { TypeUrl } from '../source.ts';
import { versionOf } from '../version.ts';
import type { AdsLimits } from './limits.ts';
import type { AdsObserver, StreamNode, StreamStatus, TypeStatus } from './status.ts';
import type { Lookup, Phase, Push, RequestOutcome, TypeSubscription } from './subscriptions.ts';

/** Additions in this order, removals in the other. */
const PUSH_ORDER: readonly TypeUrl[] = [TypeUrl.secret, TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route, TypeUrl.virtualHost];
const KNOWN_TYPES: ReadonlySet<string> = new Set(PUSH_ORDER);
/** Types that name clusters, and what they must find in effect. Not listeners before routes: a listener may wait for its routes. */
const NAMES_CLUSTERS: ReadonlySet<TypeUrl> = new Set([TypeUrl.listener, TypeUrl.route, TypeUrl.virtualHost]);
/** What goes gives its domains to what comes, so both are one response; nobody names a virtual host. */
const TOGETHER: ReadonlySet<TypeUrl> = new Set([TypeUrl.virtualHost]);
const IS_NAMED: ReadonlySet<TypeUrl> = new Set([TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.secret]);

export function isTypeUrl(typeUrl: string): typeUrl is TypeUrl {
  return KNOWN_TYPES.has(typeUrl);
}

/** The clock of a stream; tests bring their own. */
export interface StreamClock {
  now(): number;
  /** Calls back once, later; returns how to call it off. */
  after(delayMs: number, callback: () => void): () => void;
}

interface TypeState<S extends TypeSubscription> {
  readonly subscription: S;
  readonly lookup: Lookup;
  sentAtMs: number;
  sentVersion: string;
  ackedVersion: string;
  readonly versionsByNonce: Map<string, string>;
  nacked: TypeStatus['nacked'];
}

export interface TypedPush {
  readonly typeUrl: TypeUrl;
  readonly push: Push;
  /** Of the response as a whole. */
  readonly version: string;
}

/** What all streams of a service that speak the same protocol have in common. */
export interface StreamService<S extends TypeSubscription> {
  readonly protocol: 'delta' | 'sotw';
  readonly source: ResourceSource;
  readonly makeSubscription: (typeUrl: TypeUrl) => S;
  readonly limits: AdsLimits;
  readonly clock: StreamClock;
  readonly observer: AdsObserver;
}

/**
 * One ADS (or SDS) stream: its subscriptions, and which push comes next. The transport pulls `next()` only when the
 * client takes more, so a slow client costs no memory: what changes meanwhile collapses into one push.
 */
export class DiscoveryStream<S extends TypeSubscription> {
  readonly id: number;
  readonly node: StreamNode;
  readonly caller: Caller;
  readonly #service: StreamService<S>;
  readonly #view: ResourceView;
  readonly #types = new Map<TypeUrl, TypeState<S>>();
  readonly #unsettled = new Set<TypeUrl>();
  readonly #connectedAtMs: number;
  readonly #onReady: () => void;
  #nonces = 0;
  #nextNonce = '1';
  #signalled = false;
  #closed = false;
  #cancelTimer: (() => void) | undefined;

  /** `onReady`: `next` may have something. Called a turn later, so that what came together is answered together. */
  constructor(service: StreamService<S>, id: number, node: Node, caller: Caller, onReady: () => void) {
    this.id = id;
    // Not the node itself: an Envoy lists some hundred extensions in it.
    this.node = { id: node.id, userAgentName: node.userAgentName };
    this.caller = caller;
    this.#service = service;
    this.#connectedAtMs = service.clock.now();
    this.#onReady = onReady;
    this.#view = service.source.open(node, caller, (typeUrl, change) => this.#changed(typeUrl, change));
  }

  /** Applies a request to the subscription of its type, made at the first. */
  receive(typeUrl: TypeUrl, request: (subscription: S) => RequestOutcome): void {
    let state = this.#types.get(typeUrl);
    if (state === undefined) {
      const view = this.#view;
      state = {
        subscription: this.#service.makeSubscription(typeUrl),
        lookup: { get: (name) => view.get(typeUrl, name), wildcard: () => view.wildcard(typeUrl) },
        sentAtMs: 0,
        sentVersion: '',
        ackedVersion: '',
        versionsByNonce: new Map(),
        nacked: undefined,
      };
      this.#types.set(typeUrl, state);
    }
    const outcome = request(state.subscription);
    this.#takeOutcome(typeUrl, state, outcome);
    if (outcome.namesChanged) this.#view.subscribed?.(typeUrl, state.subscription.names);
    this.#unsettled.add(typeUrl);
    this.#signal();
  }

  #takeOutcome(typeUrl: TypeUrl, state: TypeState<S>, outcome: RequestOutcome): void {
    if (outcome.nonce === undefined) return;
    const version = state.versionsByNonce.get(outcome.nonce) ?? '';
    state.versionsByNonce.delete(outcome.nonce);
    if (outcome.nacked !== undefined) {
      state.nacked = { version, message: outcome.nacked.message, names: [...outcome.nacked.versions.keys()], atMs: this.#service.clock.now() };
      this.#view.nacked?.(typeUrl, outcome.nacked.versions, outcome.nacked.message);
      this.#service.observer.nacked?.(this.status(), typeUrl, outcome.nacked.message);
    } else if (outcome.acked !== undefined) {
      state.ackedVersion = version;
      state.nacked = undefined;
      this.#view.acked?.(typeUrl, outcome.acked);
    }
  }

  #changed(typeUrl: TypeUrl, change: Change): void {
    if (this.#closed) return;
    this.#types.get(typeUrl)?.subscription.changed(change);
    this.#unsettled.add(typeUrl);
    this.#signal();
  }

  /** What to send now; undefined: nothing until `wait` is fulfilled. */
  next(): TypedPush | undefined {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#closed) return undefined;
    for (const typeUrl of PUSH_ORDER) {
      const push = this.#take(typeUrl, 'answers');
      if (push !== undefined) return push;
    }
    const held = new Set<TypeUrl>();
    for (const typeUrl of PUSH_ORDER) {
      const state = this.#types.get(typeUrl);
      if (state === undefined) continue;
      if (state.subscription.busy || (NAMES_CLUSTERS.has(typeUrl) && this.#anyWaiting(IS_NAMED))) {
        if (!state.subscription.idle) held.add(typeUrl);
        continue;
      }
      const push = this.#take(typeUrl, TOGETHER.has(typeUrl) ? 'all' : 'additions');
      if (push !== undefined) return push;
    }
    for (let index = PUSH_ORDER.length - 1; index >= 0; index -= 1) {
      const typeUrl = PUSH_ORDER[index]!;
      const state = this.#types.get(typeUrl);
      if (state === undefined || state.subscription.busy || held.has(typeUrl)) continue;
      if (IS_NAMED.has(typeUrl) && !state.subscription.idle && (this.#anyWaiting(NAMES_CLUSTERS) || this.#anyHeld(held))) {
        held.add(typeUrl);
        continue;
      }
      const push = this.#take(typeUrl, 'all');
      if (push !== undefined) return push;
    }
    this.#settle(held);
    return undefined;
  }

  #take(typeUrl: TypeUrl, phase: Phase): TypedPush | undefined {
    const state = this.#types.get(typeUrl);
    if (state === undefined) return undefined;
    const nonce = this.#nextNonce;
    const push = state.subscription.next(state.lookup, phase, nonce);
    if (push === undefined) return undefined;
    this.#nonces += 1;
    this.#nextNonce = (this.#nonces + 1).toString(36);
    const version = responseVersion(push);
    state.sentAtMs = this.#service.clock.now();
    state.sentVersion = version;
    state.versionsByNonce.set(nonce, version);
    this.#unsettled.add(typeUrl);
    // Envoy warms a changed cluster until its endpoints come anew, be they the same (xDS protocol, "Resource warming"), and holds its ACK until then.
    const endpoints = typeUrl === TypeUrl.cluster ? this.#types.get(TypeUrl.endpoint)?.subscription : undefined;
    if (endpoints !== undefined) for (const { name } of push.resources) endpoints.askAgain(name);
    const typed = { typeUrl, push, version };
    this.#service.observer.pushed?.(this, typed);
    return typed;
  }

  /** Whether a type of the set has an unanswered push that is young enough to be waited for. */
  #anyWaiting(types: ReadonlySet<TypeUrl>): boolean {
    for (const typeUrl of types) {
      const state = this.#types.get(typeUrl);
      if (state === undefined || !state.subscription.busy) continue;
      const leftMs = state.sentAtMs + this.#service.limits.orderWaitMs - this.#service.clock.now();
      if (leftMs <= 0) continue;
      this.#cancelTimer ??= this.#service.clock.after(leftMs, () => this.#signal());
      return true;
    }
    return false;
  }

  /** Whether a route, listener or virtual host still has additions to come that may give up a cluster. */
  #anyHeld(held: ReadonlySet<TypeUrl>): boolean {
    for (const typeUrl of held) {
      if (!NAMES_CLUSTERS.has(typeUrl)) continue;
      const state = this.#types.get(typeUrl)!;
      const waitedLongEnough = state.subscription.busy && state.sentAtMs + this.#service.limits.orderWaitMs <= this.#service.clock.now();
      if (!waitedLongEnough) return true;
    }
    return false;
  }

  #settle(held: ReadonlySet<TypeUrl>): void {
    for (const typeUrl of this.#unsettled) {
      if (held.has(typeUrl) || this.#types.get(typeUrl)?.subscription.busy) continue;
      this.#unsettled.delete(typeUrl);
      this.#view.settled?.(typeUrl);
    }
  }

  #signal(): void {
    if (this.#signalled) return;
    this.#signalled = true;
    setImmediate(() => {
      this.#signalled = false;
      if (!this.#closed) this.#onReady();
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer?.();
    this.#view.close();
  }

  status(): StreamStatus {
    const types: TypeStatus[] = [];
    for (const [typeUrl, state] of this.#types) {
      const { subscription } = state;
      types.push({
        typeUrl,
        names: subscription.names,
        sentVersion: state.sentVersion,
        ackedVersion: state.ackedVersion,
        nacked: state.nacked,
        sync: syncOf(state),
      });
    }
    return { id: this.id, protocol: this.#service.protocol, node: this.node, caller: this.caller, connectedAtMs: this.#connectedAtMs, types };
  }
}

function syncOf(state: TypeState<TypeSubscription>): TypeStatus['sync'] {
  if (state.sentVersion === '') return 'not-sent';
  if (state.nacked !== undefined) return 'refused';
  return state.subscription.busy || !state.subscription.idle ? 'stale' : 'synced';
}

function responseVersion(push: Push): string {
  const [only] = push.resources;
  // Its own says as much, and most responses are of one resource.
  if (only !== undefined && push.versions.size === 1) return only.version;
  const lines: string[] = [];
  for (const [name, version] of push.versions) lines.push(`${name} ${version}\n`);
  return versionOf(lines.join(''));
}
