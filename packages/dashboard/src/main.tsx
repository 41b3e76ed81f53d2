import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { follow, type MeshData, noData } from './api.ts';
import { Graph } from './graph.tsx';
import { Rates } from './rates.tsx';
import { Problems, Proxies, Resources, Services, Traffic } from './tables.tsx';
import { duration } from './text.ts';

const pages = ['Overview', 'Services', 'Proxies', 'Resources'] as const;
type Page = (typeof pages)[number];

function pageOf(hash: string): Page {
  return pages.find((page) => `#${page.toLowerCase()}` === hash) ?? 'Overview';
}

function App() {
  const [data, setData] = useState<MeshData>(noData);
  const [fault, setFault] = useState('');
  const [page, setPage] = useState<Page>(pageOf(location.hash));

  useEffect(
    () =>
      follow((part, why) => {
        setData((before) => ({ ...before, ...part }));
        setFault(why);
      }),
    [],
  );
  useEffect(() => {
    const turn = (): void => setPage(pageOf(location.hash));
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);

  const nowMs = Date.now();
  const { version } = data;
  return (
    <>
      <header>
        <h1>Outrigger</h1>
        <nav>
          {pages.map((name) => (
            <button
              type="button"
              key={name}
              aria-current={name === page ? 'page' : undefined}
              onClick={() => {
                location.hash = name.toLowerCase();
              }}
            >
              {name}
            </button>
          ))}
        </nav>
        {version !== undefined && (
          <span class="quiet">
            {version.trustDomain}, configuration {version.configRevision}, up for {duration(nowMs - version.startedAtMs)}
          </span>
        )}
      </header>
      <main>
        {fault !== '' && (
          <section class="card banner">
            <b class="bad">{fault}</b>
          </section>
        )}
        <Problems problems={data.problems} nowMs={nowMs} />
        {page === 'Overview' && (
          <>
            <Graph graph={data.graph} />
            <Traffic rows={data.top} />
            <Rates rows={data.top} />
          </>
        )}
        {page === 'Services' && <Services services={data.services} />}
        {page === 'Proxies' && <Proxies proxies={data.proxies} nowMs={nowMs} />}
        {page === 'Resources' && <Resources resources={data.resources} />}
      </main>
    </>
  );
}

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
