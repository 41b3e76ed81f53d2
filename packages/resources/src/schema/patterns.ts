import { RE2JS } from '@bufbuild/re2';

/** Compiled patterns. RE2 as in Kubernetes: linear in what people write, whatever the pattern. */
export class Patterns {
  readonly #compiled = new Map<string, RE2JS>();

  matches(pattern: string, text: string): boolean {
    let compiled = this.#compiled.get(pattern);
    if (compiled === undefined) {
      compiled = RE2JS.compile(pattern);
      this.#compiled.set(pattern, compiled);
    }
    return compiled.test(text);
  }
}

/** Whether it is an expression of RE2 at all. */
export function compilesInRe2(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
