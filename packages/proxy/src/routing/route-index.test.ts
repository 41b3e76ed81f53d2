import fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { Fraction } from './fraction.ts';
import { HeaderMatcher } from './header-matcher.ts';
import { pathOnly } from './headers.ts';
import { NO_FACTS } from './request-facts.ts';
import { RouteIndex } from './route-index.ts';
import { type PathKind, RouteMatch } from './route-match.ts';
import { exactMatcher } from './string-matcher.ts';

interface Shape {
  readonly kind: PathKind;
  readonly path: string;
  readonly caseSensitive: boolean;
  readonly user: string | null;
  readonly ratio: number;
}

function matchOf(shape: Shape): RouteMatch {
  return new RouteMatch({
    pathKind: shape.kind,
    path: shape.caseSensitive ? shape.path : shape.path.toLowerCase(),
    caseSensitive: shape.caseSensitive,
    regex: shape.kind === 'regex' ? RE2JS.compile(`${shape.path.replaceAll('/', '\\/')}.*`) : null,
    headers: shape.user === null ? [] : [new HeaderMatcher('x-user', 'text', true, exactMatcher(shape.user), false, false)],
    query: [],
    grpc: false,
    fraction: new Fraction(shape.ratio),
    template: null,
    mutual: null,
    metadata: [],
  });
}

function headOf(path: string, user: string | null = null, method = 'GET'): RequestHead {
  const head = new RequestHead();
  head.method = method;
  head.path = path;
  head.authority = 'a';
  if (user !== null) head.headers.push('X-User', user);
  return head;
}

/** What Envoy does: one after the other. */
function firstByLooking(matches: readonly RouteMatch[], head: RequestHead, random: number): number {
  const path = pathOnly(head.path);
  return matches.findIndex(
    (match) =>
      (head.path !== '' || match.fields.pathKind === 'connect') &&
      match.matchesPath(head, path, path.toLowerCase()) &&
      match.matchesRest(head, random, NO_FACTS),
  );
}

const segment = fc.constantFrom('a', 'b', 'A', 'ab', 'abc');
const path = fc.array(segment, { minLength: 0, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
const shape: fc.Arbitrary<Shape> = fc.record({
  kind: fc.constantFrom<PathKind>('exact', 'prefix', 'prefix', 'separated-prefix', 'regex', 'connect'),
  path,
  caseSensitive: fc.boolean(),
  user: fc.option(fc.constantFrom('ann', 'bob')),
  ratio: fc.constantFrom(0, 0.5, 1, 1),
});

describe('indexed route table', () => {
  it('finds what a linear search finds', () => {
    fc.assert(
      fc.property(
        fc.array(shape, { maxLength: 30 }),
        path,
        fc.constantFrom('', '?a=b', '#x', '/'),
        fc.option(fc.constantFrom('ann', 'bob', 'eve')),
        fc.constantFrom('GET', 'CONNECT'),
        fc.nat(0xffffffff),
        (shapes, requestPath, end, user, method, random) => {
          const matches = shapes.map(matchOf);
          const head = headOf(requestPath + end, user, method);
          expect(RouteIndex.of(matches, false).find(head, random)).toBe(firstByLooking(matches, head, random));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('keeps the order of the configuration: a prefix before an exact path wins', () => {
    const base = { caseSensitive: true, user: null, ratio: 1 };
    const matches = [matchOf({ ...base, kind: 'prefix', path: '/a' }), matchOf({ ...base, kind: 'exact', path: '/a/b' })];
    expect(RouteIndex.of(matches, false).find(headOf('/a/b'), 0)).toBe(0);
    expect(RouteIndex.of([...matches].reverse(), false).find(headOf('/a/b'), 0)).toBe(0);
  });

  it('matches CONNECT without a path by connect_matcher alone', () => {
    const base = { caseSensitive: true, user: null, ratio: 1 };
    const matches = [matchOf({ ...base, kind: 'prefix', path: '' }), matchOf({ ...base, kind: 'connect', path: '' })];
    const index = RouteIndex.of(matches, false);
    expect(index.find(headOf('', null, 'CONNECT'), 0)).toBe(1);
    expect(index.find(headOf('/', null, 'GET'), 0)).toBe(0);
  });

  it('leaves parameters behind ";" aside where told to', () => {
    const matches = [matchOf({ kind: 'exact', path: '/a', caseSensitive: true, user: null, ratio: 1 })];
    expect(RouteIndex.of(matches, true).find(headOf('/a;v=1?q=2'), 0)).toBe(0);
    expect(RouteIndex.of(matches, false).find(headOf('/a;v=1?q=2'), 0)).toBe(-1);
  });
});
