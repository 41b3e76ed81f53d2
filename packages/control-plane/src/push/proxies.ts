import type { ProxyNode } from '@outrigger/translate';
import type { ProxyView } from '../api/shapes.ts';
import type { Clock } from '../options.ts';
import type { ClientView } from './client-view.ts';
import { DISCOVERY_NAMES, PUSHED_TYPES } from './encode.ts';

interface ProxyRecord {
  node: ProxyNode;
  spiffeId: string;
  /** Streams of the same node; the last is the one that counts. */
  readonly views: ClientView[];
  /** The last of the configuration that it has acknowledged whole. */
  revision: string;
  refusal: { readonly message: string; readonly sinceMs: number } | undefined;
  /** Of the last stream. */
  connectedAtMs: number;
  lastSeenMs: number;
}

/** Proxies that have gone are shown for so long. */
const REMEMBERED_MS = 10 * 60_000;
const MAX_REMEMBERED = 10_000;

/** Every proxy that is, or lately was, connected. */
export class Proxies {
  readonly #clock: Clock;
  readonly #records = new Map<string, ProxyRecord>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  opened(view: ClientView, spiffeId: string): void {
    const record = this.#records.get(view.node.id);
    if (record === undefined) {
      this.#forget();
      const nowMs = this.#clock.now();
      this.#records.set(view.node.id, {
        node: view.node,
        spiffeId,
        views: [view],
        revision: '',
        refusal: undefined,
        connectedAtMs: nowMs,
        lastSeenMs: nowMs,
      });
      return;
    }
    record.node = view.node;
    record.spiffeId = spiffeId;
    record.views.push(view);
    record.connectedAtMs = this.#clock.now();
    record.lastSeenMs = record.connectedAtMs;
  }

  closed(view: ClientView): void {
    const record = this.#records.get(view.node.id);
    if (record === undefined) return;
    const index = record.views.indexOf(view);
    if (index >= 0) record.views.splice(index, 1);
    record.lastSeenMs = this.#clock.now();
  }

  refused(view: ClientView, message: string): void {
    const record = this.#records.get(view.node.id);
    if (record !== undefined && record.refusal?.message !== message) record.refusal = { message, sinceMs: this.#clock.now() };
  }

  /** After an answer of the client. */
  progressed(view: ClientView, revision: string): void {
    const record = this.#records.get(view.node.id);
    if (record === undefined) return;
    record.lastSeenMs = this.#clock.now();
    if (view.refused.size === 0) record.refusal = undefined;
    if (view.outstanding.size === 0 && view.refused.size === 0) record.revision = revision;
  }

  /** A push went out: who waits for nothing of it has its revision already. */
  pushed(revision: string): void {
    for (const record of this.#records.values()) {
      const view = record.views.at(-1);
      if (view !== undefined && view.outstanding.size === 0 && view.refused.size === 0) record.revision = revision;
    }
  }

  current(node: string): ClientView | undefined {
    return this.#records.get(node)?.views.at(-1);
  }

  *views(): IterableIterator<ClientView> {
    for (const { views } of this.#records.values()) yield* views;
  }

  /** What connected proxies refuse now. */
  *refusals(): IterableIterator<{ readonly node: string; readonly message: string; readonly sinceMs: number }> {
    for (const [node, { refusal, views }] of this.#records) if (refusal !== undefined && views.length > 0) yield { node, ...refusal };
  }

  /** As each last said of itself, and since when. */
  *connectedNodes(): IterableIterator<{ readonly node: ProxyNode; readonly sinceMs: number }> {
    for (const { node, views, connectedAtMs } of this.#records.values()) if (views.length > 0) yield { node, sinceMs: connectedAtMs };
  }

  get connected(): number {
    let count = 0;
    for (const { views } of this.#records.values()) if (views.length > 0) count += 1;
    return count;
  }

  list(certificateExpiresAtMs: (node: ProxyNode, spiffeId: string) => number | null): ProxyView[] {
    this.#forget();
    return [...this.#records.values()]
      .map((record) => {
        const { node } = record;
        const view = record.views.at(-1);
        return {
          node: node.id,
          namespace: node.namespace,
          service: node.service,
          workload: node.workload,
          version: node.version,
          instance: node.instance,
          dataPlane: node.dataPlane,
          connected: view !== undefined,
          sync: view === undefined ? {} : syncOf(view),
          refusal: record.refusal?.message ?? null,
          configRevision: record.revision,
          spiffeId: record.spiffeId,
          certificateExpiresAtMs: certificateExpiresAtMs(node, record.spiffeId),
          lastSeenMs: view === undefined ? record.lastSeenMs : this.#clock.now(),
        };
      })
      .sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  /** Those that went long ago, or, where there are too many, that went first. */
  #forget(): void {
    const now = this.#clock.now();
    for (const [id, record] of this.#records) {
      const over = this.#records.size >= MAX_REMEMBERED;
      if (record.views.length === 0 && (over || now - record.lastSeenMs > REMEMBERED_MS)) this.#records.delete(id);
    }
  }
}

function syncOf(view: ClientView): ProxyView['sync'] {
  const sync: ProxyView['sync'] = {};
  const outstanding = new Set([...view.outstanding.values()].map(({ typeUrl }) => typeUrl));
  const refused = new Set([...view.refused.values()].map(({ typeUrl }) => typeUrl));
  for (const typeUrl of PUSHED_TYPES) {
    sync[DISCOVERY_NAMES[typeUrl]] = refused.has(typeUrl) ? 'refused' : outstanding.has(typeUrl) ? 'stale' : view.has(typeUrl) ? 'synced' : 'not-sent';
  }
  return sync;
}
