import type { StreamInfo } from '@outrigger/telemetry';
import type { DynamicMetadata, MetadataRule } from '../filters/rbac/rule.ts';
import { httpToGrpcStatus } from '../http/grpc-status.ts';
import { RequestHead } from '../http/message.ts';
import type { HeaderMatcher } from '../routing/header-matcher.ts';
import { headerValue } from '../routing/headers.ts';

/** A stream as filters of logs and of local replies see it. */
export interface FilteredInfo extends StreamInfo {
  /** Absent for TCP. */
  readonly head?: RequestHead;
  readonly dynamicMetadata?: DynamicMetadata;
  readonly sampled?: boolean;
}

/** Decides whether a stream is logged, or a reply is mapped. `random` is uniform in [0, 2^32). */
export interface LogFilter {
  holds(info: FilteredInfo, random: number): boolean;
}

/** TCP has no headers: matchers see an empty request. */
const NO_HEAD: RequestHead = Object.freeze(Object.assign(new RequestHead(), { scheme: '' }));

export type Comparison = '=' | '>=' | '<=';

/** status_code_filter and duration_filter. */
export class NumberFilter implements LogFilter {
  readonly #read: (info: StreamInfo) => number;
  readonly #comparison: Comparison;
  readonly #limit: number;

  constructor(read: (info: StreamInfo) => number, comparison: Comparison, limit: number) {
    this.#read = read;
    this.#comparison = comparison;
    this.#limit = limit;
  }

  holds(info: FilteredInfo): boolean {
    const value = this.#read(info);
    switch (this.#comparison) {
      case '=':
        return value === this.#limit;
      case '>=':
        return value >= this.#limit;
      case '<=':
        return value <= this.#limit;
    }
  }
}

export class AllFilters implements LogFilter {
  readonly #filters: readonly LogFilter[];
  constructor(filters: readonly LogFilter[]) {
    this.#filters = filters;
  }
  holds(info: FilteredInfo, random: number): boolean {
    return this.#filters.every((filter) => filter.holds(info, random));
  }
}

export class AnyFilter implements LogFilter {
  readonly #filters: readonly LogFilter[];
  constructor(filters: readonly LogFilter[]) {
    this.#filters = filters;
  }
  holds(info: FilteredInfo, random: number): boolean {
    return this.#filters.some((filter) => filter.holds(info, random));
  }
}

export class Constantly implements LogFilter {
  readonly #holds: boolean;
  constructor(holds: boolean) {
    this.#holds = holds;
  }
  holds(): boolean {
    return this.#holds;
  }
}

export class Sampled implements LogFilter {
  holds({ sampled }: FilteredInfo): boolean {
    return sampled === true;
  }
}

/** runtime_filter. */
export class Share implements LogFilter {
  readonly #limit: number;
  constructor(ratio: number) {
    this.#limit = ratio * 0x1_0000_0000;
  }
  holds(_info: FilteredInfo, random: number): boolean {
    return random < this.#limit;
  }
}

export class RequestHeader implements LogFilter {
  readonly #matcher: HeaderMatcher;
  constructor(matcher: HeaderMatcher) {
    this.#matcher = matcher;
  }
  holds({ head = NO_HEAD }: FilteredInfo): boolean {
    return this.#matcher.matchesRequest(head);
  }
}

export class Flags implements LogFilter {
  /** 0: any. */
  readonly #bits: number;
  constructor(bits: number) {
    this.#bits = bits;
  }
  holds({ responseFlags }: FilteredInfo): boolean {
    return this.#bits === 0 ? responseFlags !== 0 : (responseFlags & this.#bits) !== 0;
  }
}

/** The call's own status, else the one that its HTTP status stands for (Grpc::Utility::httpToGrpcStatus). */
export class GrpcStatuses implements LogFilter {
  readonly #statuses: ReadonlySet<number>;
  readonly #exclude: boolean;
  constructor(statuses: ReadonlySet<number>, exclude: boolean) {
    this.#statuses = statuses;
    this.#exclude = exclude;
  }
  holds(info: FilteredInfo): boolean {
    const said = headerValue(info.responseTrailers, 'grpc-status') ?? headerValue(info.responseHeaders, 'grpc-status');
    const status = said === undefined ? httpToGrpcStatus(info.responseCode) : Number(said);
    return this.#statuses.has(status) !== this.#exclude;
  }
}

/** metadata_filter. */
export class MetadataFilter implements LogFilter {
  readonly #rule: MetadataRule;
  readonly #ifAbsent: boolean;

  constructor(rule: MetadataRule, ifAbsent: boolean) {
    this.#rule = rule;
    this.#ifAbsent = ifAbsent;
  }

  holds({ dynamicMetadata = null }: FilteredInfo): boolean {
    return this.#rule.valueIn(dynamicMetadata) === undefined ? this.#ifAbsent : this.#rule.holds(dynamicMetadata);
  }
}
