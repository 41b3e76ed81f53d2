import { useEffect, useRef, useState } from 'preact/hooks';
import { type Fault, follow, type MeshData, noData } from './api.ts';
import { History } from './history.ts';
import { Overview } from './overview.tsx';
import { Card, withCode } from './parts.tsx';
import { Problems } from './problems.tsx';
import { Proxies } from './proxies.tsx';
import { Resources } from './resources.tsx';
import { Services } from './services.tsx';
import { failing } from './summary.ts';
import { count, duration } from './text.ts';

const pages = ['Overview', 'Services', 'Proxies', 'Resources', 'Problems'] as const;
type Page = (typeof pages)[number];

interface Place {
  readonly page: Page;
  /** An element of that page; '': its top. */
  readonly id: string;
}

function placeOf(hash: string): Place {
  const [name = '', ...rest] = decodeURIComponent(hash.slice(1)).split('/');
  return { page: pages.find((page) => page.toLowerCase() === name) ?? 'Overview', id: rest.join('/') };
}

interface Seen {
  readonly data: MeshData;
  readonly fault: Fault | undefined;
  readonly clockAheadMs: number;
  /** Of the last answer; 0: none yet. */
  readonly freshMs: number;
  /** Of the last answer about traffic. */
  readonly topAtMs: number;
}

const tickMs = 1000;

export function App() {
  const [seen, setSeen] = useState<Seen>({ data: noData, fault: undefined, clockAheadMs: 0, freshMs: 0, topAtMs: 0 });
  const [place, setPlace] = useState(placeOf(location.hash));
  const [, setTick] = useState(0);
  const history = useRef(new History()).current;

  useEffect(
    () =>
      follow(({ data, fault, clockAheadMs }) => {
        const nowMs = Date.now();
        if (data.top !== undefined) history.addTop(data.top, nowMs);
        setSeen((before) =>
          fault !== undefined
            ? { ...before, fault }
            : { data: { ...before.data, ...data }, fault, clockAheadMs, freshMs: nowMs, topAtMs: data.top === undefined ? before.topAtMs : nowMs },
        );
      }),
    [],
  );
  useEffect(() => {
    const tick = window.setInterval(() => setTick((ticks) => ticks + 1), tickMs);
    // A used address is nothing to come back to.
    if (location.search !== '') window.history.replaceState(null, '', `/${location.hash}`);
    const turn = (): void => setPlace(placeOf(location.hash));
    addEventListener('hashchange', turn);
    return () => {
      window.clearInterval(tick);
      removeEventListener('hashchange', turn);
    };
  }, []);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${place.page} \u00b7 Outrigger`;
    if (!first.current || place.id !== '') reveal(place.id);
    first.current = false;
  }, [place.page, place.id, place.id !== '' && seen.data.services !== undefined]);

  const { data, fault } = seen;
  const nowMs = Date.now() + seen.clockAheadMs;
  const signedOut = fault?.kind === 'signed-out';
  const nothing = seen.freshMs === 0;
  return (
    <>
      <button type="button" class="skip" onClick={() => reveal('')}>
        To the content
      </button>
      <header class="top">
        <h1>
          <Mark />
          Outrigger
        </h1>
        <nav aria-label="Pages">
          {pages.map((page) => (
            <a key={page} href={`#${page.toLowerCase()}`} aria-current={page === place.page ? 'page' : undefined}>
              {page}
              {page === 'Problems' && (data.problems?.length ?? 0) > 0 && <span class="badge">{data.problems?.length}</span>}
            </a>
          ))}
        </nav>
        <Mesh data={data} nowMs={nowMs} />
      </header>
      <Condition data={data} fault={fault} nothing={nothing} staleMs={Date.now() - seen.freshMs} />
      <main id="main" class={fault !== undefined && !nothing ? 'stale' : ''} tabIndex={-1}>
        {nothing && fault !== undefined && (
          <Card title={fault.what}>
            <p>{withCode(fault.next)}</p>
            {signedOut && (
              <p class="quiet">The address that was printed at the start works once, for one browser. This page goes on by itself when it is signed in.</p>
            )}
          </Card>
        )}
        {!nothing && place.page === 'Overview' && <Overview data={data} history={history} nowMs={nowMs} topAtMs={seen.topAtMs} />}
        {!nothing && place.page === 'Services' && <Services data={data} edges={data.graph === undefined ? [] : history.edges(data.graph, seen.topAtMs)} />}
        {!nothing && place.page === 'Proxies' && <Proxies data={data} nowMs={nowMs} />}
        {!nothing && place.page === 'Resources' && <Resources data={data} nowMs={nowMs} />}
        {!nothing && place.page === 'Problems' && <Problems data={data} nowMs={nowMs} />}
      </main>
    </>
  );
}

/** Brings a part of the page into view, and the keyboard with it. */
function reveal(id: string): void {
  const target = id === '' ? document.getElementById('main') : document.getElementById(`${id}-title`);
  target?.focus({ preventScroll: id === '' });
  if (id === '') scrollTo(0, 0);
  else target?.scrollIntoView();
}

function Mesh({ data: { version }, nowMs }: { data: MeshData; nowMs: number }) {
  if (version === undefined) return null;
  return (
    <dl class="mesh">
      <div>
        <dt>trust domain</dt>
        <dd>{version.trustDomain}</dd>
      </div>
      <div>
        <dt>configuration</dt>
        <dd>{version.configRevision}</dd>
      </div>
      <div>
        <dt>up for</dt>
        <dd>{duration(nowMs - version.startedAtMs)}</dd>
      </div>
    </dl>
  );
}

/** One line that is always there, so that nothing moves when something is wrong. */
function Condition({ data, fault, nothing, staleMs }: { data: MeshData; fault: Fault | undefined; nothing: boolean; staleMs: number }) {
  const { problems } = data;
  const trouble = failing(data);
  const grade = fault !== undefined || (problems?.length ?? 0) > 0 ? 'bad' : nothing ? 'unknown' : trouble === '' ? 'good' : 'warn';
  return (
    <div class={`condition ${grade}`}>
      <span class="dot" aria-hidden="true" />
      <p role="status">
        {fault !== undefined ? (
          <>
            <b>{fault.what}</b> {withCode(fault.next)}
          </>
        ) : nothing ? (
          'Asking the control plane ...'
        ) : problems === undefined || problems.length === 0 ? (
          `Live. ${trouble === '' ? 'No problem known.' : `${trouble} The configuration has no problem that is known.`}`
        ) : (
          <>
            <a href="#problems">{count(problems.length, 'problem')}</a>: {withCode(problems[0]?.what ?? '')}
          </>
        )}
      </p>
      {fault !== undefined && !nothing && <span class="age">what is shown is {duration(staleMs)} old</span>}
    </div>
  );
}

/** A hull and its outrigger, from above. */
function Mark() {
  return (
    <svg class="mark" width="22" height="22" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M8 1.5c2.6 3 3.6 6.5 3.6 10.500S10.6 19.5 8 22.500C5.4 19.5 4.4 16 4.4 12S5.4 4.5 8 1.500z" fill="currentColor" />
      <path d="M18.5 6v12M11 9h7.500M11 15h7.5" stroke="currentColor" stroke-width="2" stroke-linecap="round" fill="none" />
    </svg>
  );
}
