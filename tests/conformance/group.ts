import { readFileSync } from 'node:fs';

/** What became of one group of cases. */
export interface GroupResult {
  readonly name: string;
  readonly passed: number;
  readonly total: number;
  readonly failed: readonly { readonly case: string; readonly why: string }[];
  /** Not counted: another answer may be right, as the corpus itself says. */
  readonly leftOut: readonly { readonly case: string; readonly why: string }[];
}

/** Why a case fails; undefined: it passes. */
export type Judged = string | undefined;

export class Tally {
  readonly #name: string;
  readonly #failed: { case: string; why: string }[] = [];
  readonly #leftOut: { case: string; why: string }[] = [];
  #passed = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** What throws fails, and says with what. */
  async run(name: string, judge: () => Judged | Promise<Judged>, quirk?: string): Promise<void> {
    let why: Judged;
    try {
      why = await judge();
    } catch (cause) {
      why = `it throws: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
    if (why === undefined) this.#passed++;
    else if (quirk !== undefined) this.#leftOut.push({ case: name, why: `${quirk} (${why})` });
    else this.#failed.push({ case: name, why });
  }

  result(): GroupResult {
    return { name: this.#name, passed: this.#passed, total: this.#passed + this.#failed.length, failed: this.#failed, leftOut: this.#leftOut };
  }
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}
