import { ResponseFlag } from '@outrigger/telemetry';
import type { BoundFilters } from '../filters/filter-chain.ts';
import type {
  Answer,
  Cancellable,
  ContentSink,
  ContentSource,
  ContentTransform,
  FilterServices,
  FilterVerdict,
  HttpFilter,
  Refusal,
  FilteredStream as StreamOfFilters,
} from '../filters/http-filter.ts';
import type { ConnectionFacts } from '../filters/rbac/rule.ts';
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts';
import type { HttpConnection } from '../listener/http-connection.ts';
import type { WheelTimer } from '../net/timer-wheel.ts';
import { GuardedStream } from './guarded-stream.ts';

export const NO_ROUTE: Refusal = { kind: 'refuse', status: 404, body: '', details: 'route_not_found', flag: ResponseFlag.noRouteFound };

/** Kind of the timer that ends a filter's delay. */
export const FILTER_DELAY = 20;

interface FilterState {
  readonly filter: HttpFilter;
  state: unknown;
}

/** A request on its way through the HTTP filters, there and back. */
export abstract class FilteredStream extends GuardedStream implements StreamOfFilters {
  /** Uniform in [0, 2^32): of everything that is decided by chance for this request. */
  readonly dice: number;
  dynamicMetadata: Map<string, Record<string, unknown>> | null = null;
  #filters: BoundFilters;
  /** Of the filter that is asked next. */
  #position = 0;
  /** What the filters wait for. */
  #pending: Cancellable | null = null;
  #delay: WheelTimer | undefined = undefined;
  #states: FilterState[] | null = null;
  #rematch = false;
  #requestTransforms: ContentTransform[] | null = null;
  #responseTransforms: ContentTransform[] | null = null;
  /** First of those that content goes through. */
  protected requestTransform: ContentSink | null = null;
  protected responseTransform: ContentSink | null = null;

  constructor(connection: HttpConnection, head: RequestHead) {
    super(connection, head);
    this.dice = connection.manager.runtime.random.uint32();
    this.#filters = connection.manager.config.filters.unrouted;
  }

  abstract get headIsAll(): boolean;
  abstract breakOff(status: number, body: string, details: string): void;
  /** The filters let it pass. */
  protected abstract filtered(): void;
  protected abstract refused(refusal: Refusal): void;
  protected abstract answered(answer: Answer): void;
  /** Sets `route` anew. */
  protected abstract lookUpRoute(): void;
  /** Whether the request is over. */
  protected abstract get over(): boolean;
  protected abstract passRequest(buffer: Buffer, start: number, end: number, fin: boolean): void;
  protected abstract passRequestTrailers(trailers: HeaderList): void;
  protected abstract passResponse(buffer: Buffer, start: number, end: number, fin: boolean): void;
  protected abstract passResponseTrailers(trailers: HeaderList): void;
  protected abstract holdRequest(held: boolean): void;
  protected abstract holdResponse(held: boolean): void;

  get connectionFacts(): ConnectionFacts {
    return this.client ?? this.connection.info;
  }

  get services(): FilterServices {
    return this.manager.services;
  }

  /** From the first filter, once the route is known (null: there is none). */
  protected filterRequest(): void {
    this.#bind();
    this.#run();
  }

  #bind(): void {
    const { filters } = this.manager.config;
    this.#filters = this.route === null ? filters.unrouted : this.route.fields.filters.boundTo(filters);
  }

  #run(): void {
    while (this.#position < this.#filters.request.length) {
      const filter = this.#filters.request[this.#position++]!;
      if (filter === null) continue;
      const verdict = filter.onRequest!(this);
      if (this.#rematch) this.#lookAgain();
      if (verdict.kind !== 'pass') {
        this.#heed(verdict);
        return;
      }
    }
    this.filtered();
  }

  #lookAgain(): void {
    this.#rematch = false;
    this.lookUpRoute();
    this.#bind();
  }

  #heed(verdict: FilterVerdict): void {
    switch (verdict.kind) {
      case 'pass':
        this.#run();
        break;
      case 'refuse':
        this.refused(verdict);
        break;
      case 'answer':
        this.answered(verdict);
        break;
      case 'delay':
        this.#delay = this.manager.runtime.wheel.arm(verdict.delayMs, this, FILTER_DELAY);
        break;
      case 'wait':
        this.#pending = verdict.pending;
    }
  }

  goOn(verdict: FilterVerdict): void {
    if (this.over) return;
    this.#pending = null;
    try {
      if (this.#rematch) this.#lookAgain();
      this.#heed(verdict);
    } catch (error) {
      this.fail(error);
    }
  }

  protected endDelay(): void {
    this.#delay = undefined;
    this.#heed(this.#filters.request[this.#position - 1]!.afterDelay!(this));
  }

  rematch(): void {
    this.#rematch = true;
  }

  stateOf(filter: HttpFilter): unknown {
    const states = this.#states;
    if (states !== null) for (let i = 0; i < states.length; i++) if (states[i]!.filter === filter) return states[i]!.state;
    return undefined;
  }

  keep(filter: HttpFilter, state: unknown): void {
    this.#states ??= [];
    const known = this.#states.find((one) => one.filter === filter);
    if (known === undefined) this.#states.push({ filter, state });
    else known.state = state;
  }

  transformRequest(transform: ContentTransform): ContentSource {
    this.#requestTransforms = joined(this.#requestTransforms, transform, {
      body: (buffer, start, end, fin) => this.#guarded(() => this.passRequest(buffer, start, end, fin)),
      trailers: (trailers) => this.#guarded(() => this.passRequestTrailers(trailers)),
    });
    this.requestTransform = this.#requestTransforms[0]!;
    return { hold: () => this.holdRequest(true), release: () => this.holdRequest(false) };
  }

  transformResponse(transform: ContentTransform): ContentSource {
    this.#responseTransforms = joined(this.#responseTransforms, transform, {
      body: (buffer, start, end, fin) => this.#guarded(() => this.passResponse(buffer, start, end, fin)),
      trailers: (trailers) => this.#guarded(() => this.passResponseTrailers(trailers)),
    });
    this.responseTransform = this.#responseTransforms[0]!;
    return { hold: () => this.holdResponse(true), release: () => this.holdResponse(false) };
  }

  /** A transform may come back in its own time: after the end of all, and with nobody above it who would catch a mistake. */
  #guarded(work: () => void): void {
    if (this.over) return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  /** In reverse order. `fin`: the answer is its head alone. */
  protected filterResponse(head: ResponseHead, fin: boolean): void {
    const { response } = this.#filters;
    for (let i = 0; i < response.length; i++) response[i]!.onResponse!(this, head, fin);
  }

  protected get waitsForFilter(): boolean {
    return this.#pending !== null || this.#delay !== undefined;
  }

  /** Nothing of a filter's goes on behind an answer. */
  protected cancelFilterWork(): void {
    if (this.#delay !== undefined) this.manager.runtime.wheel.cancel(this.#delay);
    this.#delay = undefined;
    const pending = this.#pending;
    this.#pending = null;
    pending?.cancel();
  }

  /** Whether a filter has the request's content go through it. */
  protected get changesRequest(): boolean {
    return this.#requestTransforms !== null;
  }

  /** The request goes elsewhere: all filters see it once more, as a new one. */
  protected restartFilters(): void {
    this.endFilters();
    this.dynamicMetadata = null;
    this.#states = null;
    this.#position = 0;
  }

  /** The request is over. */
  protected endFilters(): void {
    this.cancelFilterWork();
    for (const transform of this.#requestTransforms ?? []) transform.cancel();
    for (const transform of this.#responseTransforms ?? []) transform.cancel();
    for (const { filter, state } of this.#states ?? []) filter.onEnd?.(this, state);
  }
}

function joined(transforms: ContentTransform[] | null, transform: ContentTransform, last: ContentSink): ContentTransform[] {
  transform.next = last;
  if (transforms === null) return [transform];
  transforms.at(-1)!.next = transform;
  transforms.push(transform);
  return transforms;
}
