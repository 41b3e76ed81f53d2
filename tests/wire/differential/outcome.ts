import { FrameLines } from '../../../packages/proxy/src/http2/testing/frames.ts';
import type { DowngradeCase } from './downgrades.ts';
import type { Exchanged } from './exchange.ts';
import { type Message, otherwise, type Reading, readByRfc, readRequests, readResponses } from './readers.ts';
import type { ResponseCase } from './responses.ts';
import { type RequestCase, show } from './wire-case.ts';

/** What a proxy did with a case. */
export interface Outcome {
  readonly kind: 'passed' | 'refused' | 'waits' | 'closed' | 'cut';
  /** For people; equal where proxies did the same. */
  readonly text: string;
  /** Of a refusal: its status, or its error code. */
  readonly status: string;
  /** Habits that read what was passed otherwise than the RFC does. */
  readonly ambiguous: readonly string[];
}

const requestsIn = (text: string): Reading => readByRfc((reader) => readRequests(text, reader));

export function requestOutcome({ watch = [] }: RequestCase, { answer, end, silent, received }: Exchanged): Outcome {
  const ambiguous = ambiguityOf(received);
  const passed = received.flatMap((text) => [...requestsIn(text).messages]);
  const waits = received.some((text) => requestsIn(text).rest !== 'nothing');
  const answers = readByRfc((reader) => readResponses(answer, reader, [])).messages;
  const status = answers.find(({ start }) => /^[45]/.test(start))?.start ?? '';
  const shown = passed.map((message) => describe(message, watch));
  if (shown.join() === 'next' && status !== '') return { kind: 'refused', text: 'refused, then next', status, ambiguous };
  if (passed.length > 0) {
    const tail = waits ? ', then part of one' : status !== '' ? ', then an error' : '';
    return { kind: 'passed', text: `${shown.join(', ')}${tail}`, status, ambiguous };
  }
  if (status !== '' && !silent) return { kind: 'refused', text: 'refused', status, ambiguous };
  const kind = end === 'open' || silent ? 'waits' : 'closed';
  return { kind, text: kind, status: '', ambiguous };
}

export function responseOutcome({ method, watch = [] }: ResponseCase, { answer, end }: Exchanged): Outcome {
  const methods = [method, 'GET'];
  const { messages, rest } = readByRfc((reader) => readResponses(answer, reader, methods));
  const ambiguous = otherwise((reader) => readResponses(answer, reader, methods));
  const final = messages.filter(({ start }) => !start.startsWith('1'));
  const [first, second] = final;
  if (final.length > methods.length) ambiguous.push('RFC 9112: more responses than requests');
  if (first === undefined && rest === 'nonsense') return { kind: 'passed', text: 'passed, and is no response', status: '', ambiguous };
  if (first === undefined) {
    // A cut is a refusal after the head.
    if (answer !== '') return { kind: 'cut', text: 'refused', status: '', ambiguous };
    const kind = end === 'open' ? 'waits' : 'closed';
    return { kind, text: kind, status: '', ambiguous };
  }
  if (first.start === '502' || first.start === '503') return { kind: 'refused', text: 'refused', status: first.start, ambiguous };
  const before = messages.filter(({ start }) => start.startsWith('1')).map(({ start }) => `${start}, `);
  const after =
    rest !== 'nothing'
      ? ', then part of one'
      : second === undefined
        ? ''
        : second.body === 'ok'
          ? ', next'
          : `, then ${second.start} with ${show(second.body)}`;
  const watched = first.headers.flatMap(([name, value]) => (watch.includes(name) ? [` ${name}=${show(value)}`] : []));
  return {
    kind: 'passed',
    text: `${before.join('')}${first.start}${first.body === '' ? '' : ` with ${show(first.body)}`}${watched.join('')}${after}`,
    status: '',
    ambiguous,
  };
}

export function downgradeOutcome({ watch = [] }: DowngradeCase, { answer, end, received }: Exchanged): Outcome {
  const ambiguous = ambiguityOf(received);
  const passed = received.flatMap((text) => [...requestsIn(text).messages]);
  if (passed.length > 0) return { kind: 'passed', text: passed.map((message) => describe(message, watch)).join(', '), status: '', ambiguous };
  const lines = new FrameLines().read(answer);
  const refusal = lines.find((line) => /^(?:RST_STREAM|GOAWAY)|:status=[45]/.test(line)) ?? '';
  if (refusal === '' && end === 'open') return { kind: 'waits', text: 'waits', status: '', ambiguous };
  return { kind: 'refused', text: 'refused', status: /:status=(\d+)/.exec(refusal)?.[1] ?? refusal.split(' ')[2] ?? 'closed', ambiguous };
}

/** The last that is said of the stream of a downgrade. */
export function endsStream(answer: string): boolean {
  return new FrameLines().read(answer).some((line) => /^(?:HEADERS|DATA) 1 .*fin$|^RST_STREAM|^GOAWAY/.test(line));
}

/** A backend ends each connection with its answer: more than one message on it is a request that nobody made. */
function ambiguityOf(received: readonly string[]): readonly string[] {
  const habits = received.flatMap((text) => otherwise((reader) => readRequests(text, reader)));
  if (received.some((text) => requestsIn(text).messages.length > 1)) habits.push('RFC 9112: more than one request');
  return [...new Set(habits)];
}

function describe({ start, host, body, headers }: Message, watch: readonly string[]): string {
  if (start === 'GET /next' && host === 'next') return 'next';
  const space = start.indexOf(' ');
  const method = start.slice(0, space);
  const watched = headers.flatMap(([name, value]) => (watch.includes(name) ? [` ${name}=${show(value)}`] : []));
  const target = show(start.slice(space + 1)).slice(1, -1);
  const at = host === 'a' ? '' : ` at ${show(host)}`;
  return `${method.length > 20 ? show(method) : method} ${target}${at}${body === '' ? '' : ` with ${show(body)}`}${watched.join('')}`;
}
