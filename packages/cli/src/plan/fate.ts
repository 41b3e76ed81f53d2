import type { Outcome } from '../simulate/outcome.ts';

/** What becomes of a request: by chance this or that, each with its share. */
export interface Fate {
  /** "to orders.shop.svc.cluster.local:8080 v1", "404 no-route": share (0 to 1). */
  readonly ends: ReadonlyMap<string, number>;
  /** What holds whichever it is: "timeout 3 s". */
  readonly terms: readonly string[];
}

export function fateOf(found: Outcome): Fate {
  const ends = new Map<string, number>();
  const add = (end: string, share: number): void => {
    if (share > 1e-9) ends.set(end, (ends.get(end) ?? 0) + share);
  };
  const terms: string[] = [];
  let left = 1;
  for (const { kind, percent, status, delayMs } of found.faults) {
    if (kind === 'delay') terms.push(`delay of ${delayMs} ms for ${percent} %`);
    else {
      add(`${status} by a fault`, (left * percent) / 100);
      left -= (left * percent) / 100;
    }
  }
  if (found.decision === 'route') {
    let sent = 0;
    for (const { host, port, subset, weight } of found.destinations) {
      add(`to ${host}:${port}${subset === '' ? '' : ` ${subset}`}`, (left * weight) / 100);
      sent += weight;
    }
    add('500 invalid-backend', (left * (100 - sent)) / 100);
    if (found.timeoutMs > 0) terms.push(`timeout ${found.timeoutMs} ms`);
    if (found.request !== null) terms.push(`as ${found.request.method} ${found.request.host}${found.request.path}`);
  } else if (found.decision === 'passthrough') add('out of the mesh', left);
  else if (found.decision === 'redirect') add(`${found.status} to ${found.location}`, left);
  else add([found.status === 0 ? '' : String(found.status), found.decision].filter(Boolean).join(' '), left);
  return { ends, terms };
}

/** How much of the requests fares otherwise: the distance of the distributions, 0 to 1. No draw is made. */
export function distance(before: Fate, after: Fate): number {
  if (JSON.stringify(before.terms) !== JSON.stringify(after.terms) && sharesAnEnd(before, after)) return 1;
  let moved = 0;
  for (const [end, share] of before.ends) moved += Math.max(0, share - (after.ends.get(end) ?? 0));
  return moved > 1e-9 ? Math.min(1, moved) : 0;
}

function sharesAnEnd(before: Fate, after: Fate): boolean {
  return [...before.ends.keys()].some((end) => after.ends.has(end));
}

/** "to a 90 %, to b 10 %; timeout 3 s", the terms only where they make the difference. */
export function fateText(fate: Fate, other: Fate): string {
  const ends = [...fate.ends].map(([end, share]) => (fate.ends.size === 1 ? end : `${end} ${Number((share * 100).toFixed(1))} %`)).join(', ');
  const own = sharesAnEnd(fate, other) ? fate.terms.filter((term) => !other.terms.includes(term)) : [];
  return [ends, ...own].join('; ');
}
