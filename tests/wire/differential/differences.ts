import { type Name, names } from './contestants.ts';
import type { Outcome } from './outcome.ts';
import { reasons } from './reasons.ts';
import { type Trial, trials } from './trials.ts';

export type Outcomes = ReadonlyMap<string, Outcome>;

/** A case of which not all made the same. */
export interface Difference {
  readonly trial: Trial;
  readonly texts: readonly string[];
}

/** Whether HAProxy looks at a trailer before it has passed the request on is not the same in each run. */
const UNSTEADY: Readonly<Partial<Record<Name, ReadonlySet<string>>>> = { haproxy: new Set(['a trailer with a space before its colon']) };

export function differences(outcomes: Readonly<Record<Name, Outcomes>>): Difference[] {
  return trials.flatMap((trial) => {
    const texts = names.map((name) => {
      if (UNSTEADY[name]?.has(trial.name)) return 'refused, or passed without it, as it happens';
      const { text, ambiguous } = outcomes[name].get(trial.name)!;
      return ambiguous.length > 0 ? `${text} (read in two ways)` : text;
    });
    return new Set(texts).size > 1 ? [{ trial, texts }] : [];
  });
}

/** '' where there is none. */
export function reasonOf({ noun, name }: Trial): string {
  return reasons.find(({ of, match }) => of.includes(noun) && match.test(name))?.why ?? '';
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_').replaceAll('`', '\\`');

/** The page that lists them, each under its reason. */
export function page(found: readonly Difference[]): string {
  const byReason = new Map<string, Difference[]>();
  for (const difference of found) {
    const why = reasonOf(difference.trial);
    byReason.set(why, [...(byReason.get(why) ?? []), difference]);
  }
  const sections = reasons.flatMap(({ why, title }) => {
    const rows = byReason.get(why) ?? [];
    if (rows.length === 0) return [];
    return [`## ${title}\n\n${why}\n\n| case | Outrigger | Envoy | HAProxy |\n| --- | --- | --- | --- |\n${rows.map(rowOf).join('\n')}\n`];
  });
  return `${HEAD.replace('CASES', String(trials.length)).replace('SAME', String(trials.length - found.length))}\n${sections.join('\n')}`;
}

const start = ({ name }: Trial): string => `| ${cell(name)} |`;
const rowOf = ({ trial, texts }: Difference): string => `${start(trial)} ${texts.map(cell).join(' | ')} |`;

/** Cases whose row, or its absence, is not as on a page. */
export function unlike(before: string, found: readonly Difference[]): Trial[] {
  const now = new Map(found.map((difference) => [difference.trial, rowOf(difference)]));
  const rows = before.split('\n');
  return trials.filter((trial) => rows.find((row) => row.startsWith(start(trial))) !== now.get(trial));
}

const HEAD = `# Where Outrigger, Envoy and HAProxy read HTTP/1 differently

CASES raw requests and responses, public smuggling and framing cases among them, go through each of the three proxies before a
backend that records every byte. In SAME of them all three do the same; the others are here, each with its reason.
"Refused" is an error of the proxy, or a cut connection, in place of the message; "next" is a good request that follows on the
same connection.

**Nothing that Outrigger passes can be read in two ways**: what the backend (of a response: the client) got is read by some thirty
readers, each with one habit of a real server: LF or CR ends a line, the first or the last Content-Length counts, "xchunked" is
chunked, a chunk size wraps at 32 bits, and so on. All of them must see the same messages, with the same method, target, host and
content. "Read in two ways" marks what the others passed and some reader takes otherwise.

This page is made by \`OUTRIGGER_WRITE=1 npx vitest run --project peers tests/wire/http1-differential.test.ts\`; the test fails
where it no longer holds. Envoy 1.40.0 takes HTTP/1.0 and unknown methods here, as it must be told to; HAProxy 2.6 has its defaults.
`;
