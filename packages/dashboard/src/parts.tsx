import type { TopRow } from '@outrigger/control-plane/api';
import type { ComponentChildren } from 'preact';
import { type Curve, historyMs } from './history.ts';
import { type Grade, unknown } from './text.ts';

/** A figure in its column: the same width whatever it says. */
export function Figure({ text, grade, why }: { text: string; grade?: Grade; why?: string }) {
  return (
    <td class={`number ${grade ?? ''}`}>
      {text === unknown ? (
        <>
          <span aria-hidden="true" title={why ?? 'not known: no request in this time'}>
            {unknown}
          </span>
          <span class="unseen">not known</span>
        </>
      ) : (
        text
      )}
    </td>
  );
}

/** A state in words, with its colour. */
export function State({ grade, children }: { grade: Grade | 'plain'; children: ComponentChildren }) {
  return <span class={`state ${grade}`}>{children}</span>;
}

export function Breaker({ breaker: { open, halfOpen, endpoints } }: Pick<TopRow, 'breaker'>) {
  if (open === 0 && halfOpen === 0) return <span class="quiet">closed</span>;
  return (
    <State grade={open > 0 ? 'bad' : 'warn'}>
      {[open > 0 && `${open} of ${endpoints} open`, halfOpen > 0 && `${halfOpen} half-open`].filter(Boolean).join(', ')}
    </State>
  );
}

const sparkWidth = 92;
const sparkHeight = 22;

/** The last minutes as a line; it has no scale but its own highest value, and says that. */
export function Spark({ curve, nowMs, label, format }: { curve: Curve; nowMs: number; label: string; format: (value: number) => string }) {
  const values = curve.map(([, value]) => value).filter((value) => value !== null);
  const highest = Math.max(...values, 0);
  let path = '';
  let pen = 'M';
  for (const [atMs, value] of curve) {
    if (value === null) {
      pen = 'M';
      continue;
    }
    const x = sparkWidth * (1 - (nowMs - atMs) / historyMs);
    const y = sparkHeight - 1.5 - (highest === 0 ? 0 : (value / highest) * (sparkHeight - 4));
    path += `${pen}${x.toFixed(1)},${y.toFixed(1)}`;
    pen = 'L';
  }
  return (
    <svg class="spark" width={sparkWidth} height={sparkHeight} aria-hidden="true">
      <title>{values.length === 0 ? `${label}: nothing seen yet` : `${label}, last 3 minutes, highest ${format(highest)}`}</title>
      <line x1="0" x2={sparkWidth} y1={sparkHeight - 0.5} y2={sparkHeight - 0.5} />
      <path d={path} />
    </svg>
  );
}

/** A part of the page with its heading. */
export function Card({ title, note, id, children }: { title: string; note?: string | undefined; id?: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-labelledby={`${id ?? title}-title`} id={id}>
      <header>
        <h2 id={`${id ?? title}-title`} tabIndex={-1}>
          {title}
        </h2>
        {note !== undefined && <p class="quiet">{note}</p>}
      </header>
      {children}
    </section>
  );
}

/** Wide content scrolls in its own frame, by keyboard too. */
export function Scrolling({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a frame that scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section class="scrolling" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}

export function Empty({ what, next }: { what: string; next?: string }) {
  return (
    <div class="empty">
      <p>{what}</p>
      {next !== undefined && <p class="quiet">{withCode(next)}</p>}
    </div>
  );
}

/** What stands between backquotes is code. */
export function withCode(text: string): ComponentChildren {
  return text.split('`').map((piece, index) => (index % 2 === 1 ? <code key={piece}>{piece}</code> : piece));
}
