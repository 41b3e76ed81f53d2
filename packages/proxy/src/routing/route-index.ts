import { atOnce, type Steps } from '@outrigger/xds/slices';
import type { RequestHead } from '../http/message.ts';
import { pathOnly } from './headers.ts';
import { type PrefixNode, PrefixTree } from './prefix-tree.ts';
import { NO_FACTS, type RequestFacts } from './request-facts.ts';
import type { RouteMatch } from './route-match.ts';

/** Exact paths and prefixes of one sort (with or without regard to case). */
class PathIndex {
  readonly #exact = new Map<string, number[]>();
  readonly #prefixes = new PrefixTree();
  empty = true;

  add(match: RouteMatch, index: number): void {
    this.empty = false;
    const { pathKind, path } = match.fields;
    if (pathKind !== 'exact') {
      this.#prefixes.add(path, index);
      return;
    }
    const list = this.#exact.get(path);
    if (list === undefined) this.#exact.set(path, [index]);
    else list.push(index);
  }

  seal(): Steps<void> {
    return this.#prefixes.seal();
  }

  exact(path: string): readonly number[] | undefined {
    return this.#exact.get(path);
  }

  longestPrefix(path: string): PrefixNode | null {
    return this.#prefixes.longest(path);
  }
}

/**
 * Finds the first route that matches, in the order of the configuration, without looking at each: exact paths by a map,
 * prefixes by a radix tree; only regular expressions and templates are tried one by one. Bench: bench/routing/route-table.mjs.
 */
export class RouteIndex {
  readonly #matches: readonly RouteMatch[];
  readonly #cased = new PathIndex();
  readonly #uncased = new PathIndex();
  /** Routes with a regular expression or a template, ascending. */
  readonly #regexes: number[] = [];
  readonly #connects: number[] = [];
  readonly #ignoreParameters: boolean;

  /** `ignoreParameters`: what follows ";" in a path does not count (ignore_path_parameters_in_path_matching). */
  static *steps(matches: readonly RouteMatch[], ignoreParameters: boolean): Steps<RouteIndex> {
    const made = new RouteIndex(matches, ignoreParameters);
    for (let index = 0; index < matches.length; index++) {
      if (index > 0) yield;
      made.#add(matches[index]!, index);
    }
    yield* made.#cased.seal();
    yield* made.#uncased.seal();
    return made;
  }

  static of(matches: readonly RouteMatch[], ignoreParameters: boolean): RouteIndex {
    return atOnce(RouteIndex.steps(matches, ignoreParameters));
  }

  private constructor(matches: readonly RouteMatch[], ignoreParameters: boolean) {
    this.#matches = matches;
    this.#ignoreParameters = ignoreParameters;
  }

  #add(match: RouteMatch, index: number): void {
    const { pathKind, caseSensitive } = match.fields;
    if (pathKind === 'connect') this.#connects.push(index);
    else if (pathKind === 'regex' || pathKind === 'template') this.#regexes.push(index);
    else (caseSensitive ? this.#cased : this.#uncased).add(match, index);
  }

  /** Position of the route, or -1. */
  find(head: RequestHead, random: number, facts: RequestFacts = NO_FACTS): number {
    const matches = this.#matches;
    let best = matches.length;
    if (head.method === 'CONNECT') best = this.#firstOf(this.#connects, best, head, random, facts);
    // CONNECT without a path is matched by connect_matcher alone.
    if (head.path !== '') {
      let path = pathOnly(head.path);
      if (this.#ignoreParameters) {
        const semicolon = path.indexOf(';');
        if (semicolon >= 0) path = path.slice(0, semicolon);
      }
      if (!this.#cased.empty) best = this.#search(this.#cased, path, best, head, random, facts);
      if (!this.#uncased.empty) best = this.#search(this.#uncased, path.toLowerCase(), best, head, random, facts);
      const regexes = this.#regexes;
      for (let i = 0; i < regexes.length && regexes[i]! < best; i++) {
        const index = regexes[i]!;
        const match = matches[index]!;
        if (match.matchesPath(head, path, path) && match.matchesRest(head, random, facts)) best = index;
      }
    }
    return best === matches.length ? -1 : best;
  }

  #search(index: PathIndex, path: string, limit: number, head: RequestHead, random: number, facts: RequestFacts): number {
    const exact = index.exact(path);
    let best = exact === undefined ? limit : this.#firstOf(exact, limit, head, random, facts);
    for (let node = index.longestPrefix(path); node !== null; node = node.outer) {
      const routes = node.routes;
      for (let i = 0; i < routes.length && routes[i]! < best; i++) {
        const match = this.#matches[routes[i]!]!;
        // The tree has found the prefix; where a segment must end there, that is still to be seen.
        if (match.fields.pathKind === 'separated-prefix' && !match.matchesPath(head, path, path)) continue;
        if (match.matchesRest(head, random, facts)) best = routes[i]!;
      }
    }
    return best;
  }

  #firstOf(routes: readonly number[], limit: number, head: RequestHead, random: number, facts: RequestFacts): number {
    for (let i = 0; i < routes.length && routes[i]! < limit; i++) {
      if (this.#matches[routes[i]!]!.matchesRest(head, random, facts)) return routes[i]!;
    }
    return limit;
  }
}
