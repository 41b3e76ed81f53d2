import { durationMs } from '@outrigger/resources';
import type { Analyzer } from '../analyzer.ts';
import { knownCalls } from '../calls.ts';
import { type RouteTo, routesByHost, routeText } from '../routes-to.ts';

/** Times that nobody waits for: of one try longer than of all, or of a call longer than its caller is itself waited for. */
export const timeoutsBeyondCallers: Analyzer = {
  name: 'rig.TimeoutsBeyondCallers',
  codes: ['RIG0104'],
  ofFiles: true,
  once: true,
  run(context) {
    const routes = routesByHost(context);
    for (const route of new Set([...routes.values()].flat())) {
      const timeout = timeoutMs(route.rule.timeout);
      const perTry = timeoutMs(route.rule.retries?.perTryTimeout);
      if (timeout !== undefined && perTry !== undefined && perTry > timeout)
        context.report(
          route.resource,
          `${route.path}.retries.perTryTimeout`,
          'RIG0104',
          'One try',
          shown(perTry),
          'the whole call',
          shown(timeout),
          shown(timeout),
        );
    }
    for (const { caller, callee } of knownCalls(context)) {
      const limit = waitedFor(routes.get(caller) ?? []);
      if (limit === undefined) continue;
      for (const route of routes.get(callee) ?? []) {
        const timeout = timeoutMs(route.rule.timeout);
        if (!route.ofMesh || timeout === undefined || timeout <= limit.ms) continue;
        const whole = `${caller} itself (${routeText(limit.route)})`;
        context.report(
          route.resource,
          `${route.path}.timeout`,
          'RIG0104',
          `A call of ${callee} by ${caller}`,
          shown(timeout),
          whole,
          shown(limit.ms),
          shown(limit.ms),
        );
      }
    }
  },
};

/** The longest that a service is waited for; undefined: somebody waits for ever, or nobody has said. */
function waitedFor(routes: readonly RouteTo[]): { readonly ms: number; readonly route: RouteTo } | undefined {
  let longest: { readonly ms: number; readonly route: RouteTo } | undefined;
  for (const route of routes) {
    const ms = timeoutMs(route.rule.timeout);
    if (ms === undefined) return undefined;
    if (longest === undefined || ms > longest.ms) longest = { ms, route };
  }
  return longest;
}

/** Zero is none. */
function timeoutMs(text: string | undefined): number | undefined {
  const ms = text === undefined ? undefined : durationMs(text);
  return ms === undefined || ms <= 0 ? undefined : ms;
}

function shown(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
