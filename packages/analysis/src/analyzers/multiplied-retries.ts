import type { Analyzer } from '../analyzer.ts';
import { knownCalls } from '../calls.ts';
import { type RouteTo, routesByHost, routeText } from '../routes-to.ts';

/** From how many calls on that one request may become it is worth a word. */
const MANY = 10;

interface Chain {
  /** How often the last of it may be called for one request at its beginning. */
  readonly times: number;
  /** "gateway -> a (3 times) -> b (4 times)" */
  readonly text: string;
  /** How many of its calls are tried again. */
  readonly repeated: number;
}

/** Retries along a chain of calls, which multiply: each try of a caller makes all tries of those that it calls. */
export const multipliedRetries: Analyzer = {
  name: 'rig.MultipliedRetries',
  codes: ['RIG0105'],
  ofFiles: true,
  run(context) {
    const routes = routesByHost(context);
    const callers = Map.groupBy(knownCalls(context), ({ callee }) => callee);
    const known = new Map<string, Chain>();

    const chainTo = (host: string, above: ReadonlySet<string>): Chain => {
      const found = known.get(host);
      if (found !== undefined) return found;
      const own = routes.get(host) ?? [];
      const chains = own.filter(({ ofMesh }) => !ofMesh).map((route) => next({ times: 1, text: 'a gateway', repeated: 0 }, host, triesOf(route)));
      const tries = Math.max(1, ...own.filter(({ ofMesh }) => ofMesh).map(triesOf));
      // Round a circle of calls there is no end.
      for (const { caller } of callers.get(host) ?? []) if (!above.has(caller)) chains.push(next(chainTo(caller, new Set([...above, host])), host, tries));
      if (chains.length === 0) chains.push({ times: 1, text: host, repeated: 0 });
      const worst = chains.reduce((left, right) => (right.times > left.times ? right : left));
      known.set(host, worst);
      return worst;
    };

    for (const host of routes.keys()) {
      const chain = chainTo(host, new Set());
      if (chain.times < MANY || chain.repeated < 2) continue;
      const worst = (routes.get(host) ?? []).filter(({ ofMesh, rule }) => ofMesh && rule.retries !== undefined).sort((a, b) => triesOf(b) - triesOf(a))[0];
      if (worst !== undefined) context.report(worst.resource, `${worst.path}.retries`, 'RIG0105', chain.times, host, chain.text, routeText(worst));
    }
  },
};

function next(chain: Chain, host: string, tries: number): Chain {
  return {
    times: chain.times * tries,
    text: `${chain.text} -> ${host}${tries > 1 ? ` (${tries} times)` : ''}`,
    repeated: chain.repeated + (tries > 1 ? 1 : 0),
  };
}

/** The mesh's own retries are not counted: a proxy that has given up says so to the one before it. */
function triesOf({ rule }: RouteTo): number {
  return 1 + Math.max(0, rule.retries?.attempts ?? 0);
}
