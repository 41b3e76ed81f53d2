import type { ListStringMatcher } from '@outrigger/xds/protos/envoy/type/matcher/v3/string';
import type { CompileReport } from '../../routing/compile-result.ts';
import { compileStringMatcher, type TextMatcher } from '../../routing/string-matcher.ts';

/** How much of a request's content the service sees. */
export interface ContentSettings {
  readonly maxBytes: number;
  readonly allowPartial: boolean;
  /** As bytes rather than text. */
  readonly asBytes: boolean;
}

/** What a route says: not at all, or with these words and this much content. */
export class CheckOfRoute {
  readonly disabled: boolean;
  readonly contextExtensions: Readonly<Record<string, string>>;
  /** undefined: as the filter says; null: none. */
  readonly content: ContentSettings | null | undefined;

  constructor(disabled: boolean, contextExtensions: Readonly<Record<string, string>>, content: ContentSettings | null | undefined) {
    this.disabled = disabled;
    this.contextExtensions = contextExtensions;
    this.content = content;
  }
}

/** Names of headers that a list of matchers picks. */
export class HeaderNameSet {
  readonly #matchers: readonly TextMatcher[];

  constructor(matchers: readonly TextMatcher[]) {
    this.#matchers = matchers;
  }

  get empty(): boolean {
    return this.#matchers.length === 0;
  }

  has(lowerName: string): boolean {
    return this.#matchers.some((matcher) => matcher.matches(lowerName));
  }
}

export function compileHeaderNameSet(config: ListStringMatcher | undefined, path: string, report: CompileReport): HeaderNameSet {
  return new HeaderNameSet((config?.patterns ?? []).map((one, i) => compileStringMatcher(one, `${path}.patterns[${i}]`, report)));
}
