import { describe, expect, it } from 'vitest';
import { FastRandom } from './random.ts';
import { continueTrace, traceHeaders } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const random = (): FastRandom => new FastRandom([1, 2, 3, 4]);

describe('a trace that came', () => {
  it.each<[string, string[], boolean]>([
    ['W3C, sampled', ['traceparent', `00-${TRACE}-${SPAN}-01`], true],
    ['W3C, not sampled', ['Traceparent', `00-${TRACE}-${SPAN}-00`], false],
    ['W3C of a later version', ['traceparent', `cc-${TRACE}-${SPAN}-01-what-comes`], true],
    ['B3 single', ['b3', `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90`], true],
    ['B3 single, debug', ['b3', `${TRACE}-${SPAN}-d`], true],
    ['B3 single, denied', ['b3', `${TRACE}-${SPAN}-0`], false],
    ['B3 multi', ['X-B3-TraceId', TRACE, 'X-B3-SpanId', SPAN, 'X-B3-Sampled', '1'], true],
    ['B3 multi, debug', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-flags', '1'], true],
    ['W3C before B3', ['b3', `${'a'.repeat(32)}-${SPAN}-0`, 'traceparent', `00-${TRACE}-${SPAN}-01`], true],
  ])('%s is continued with a span of its own', (_name, headers, sampled) => {
    const context = continueTrace(headers, random(), sampled ? 0 : 1);
    expect(context).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, sampled });
    expect(context.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(context.spanId).not.toBe(SPAN);
  });

  it('is widened where B3 sent 64 bits', () => {
    expect(continueTrace(['b3', `${SPAN}-${SPAN}-1`], random()).traceId).toBe(`0000000000000000${SPAN}`);
  });

  it('leaves the decision to us where B3 did', () => {
    expect(continueTrace(['b3', `${TRACE}-${SPAN}`], random(), 1).sampled).toBe(true);
    expect(continueTrace(['b3', `${TRACE}-${SPAN}`], random(), 0).sampled).toBe(false);
  });

  it.each<[string, string[]]>([
    ['nothing', []],
    ['a forbidden version', ['traceparent', `ff-${TRACE}-${SPAN}-01`]],
    ['something behind version 00', ['traceparent', `00-${TRACE}-${SPAN}-01-x`]],
    ['upper case', ['traceparent', `00-${TRACE.toUpperCase()}-${SPAN}-01`]],
    ['a zero trace', ['traceparent', `00-${'0'.repeat(32)}-${SPAN}-01`]],
    ['a zero span', ['traceparent', `00-${TRACE}-${'0'.repeat(16)}-01`]],
    ['half of B3', ['x-b3-traceid', TRACE]],
  ])('%s begins a new one', (_name, headers) => {
    const context = continueTrace(headers, random(), 1);
    expect(context).toMatchObject({ parentSpanId: '', sampled: true, format: 'w3c' });
    expect(context.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(context.traceId).not.toBe(TRACE);
  });

  it('passes tracestate on, unless it is too long', () => {
    const parent = ['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate'];
    expect(continueTrace([...parent, 'a=1,b=2'], random()).traceState).toBe('a=1,b=2');
    expect(continueTrace([...parent, 'a'.repeat(5000)], random()).traceState).toBe('');
  });
});

it('samples one in a hundred of what nobody decided', () => {
  const source = random();
  let sampled = 0;
  for (let i = 0; i < 50_000; i++) if (continueTrace([], source).sampled) sampled++;
  expect(sampled).toBeGreaterThan(400);
  expect(sampled).toBeLessThan(600);
});

describe('headers that go on', () => {
  const base = { traceId: TRACE, spanId: SPAN, parentSpanId: '05e3ac9a4f6e3b90', sampled: true, traceState: 'a=1' };
  it.each([
    ['w3c', ['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', 'a=1']],
    ['b3-single', ['b3', `${TRACE}-${SPAN}-1-05e3ac9a4f6e3b90`]],
    ['b3-multi', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', '1', 'x-b3-parentspanid', '05e3ac9a4f6e3b90']],
  ] as const)('%s', (format, headers) => {
    expect(traceHeaders({ ...base, format })).toEqual(headers);
    expect(continueTrace([...headers], random())).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, sampled: true, format });
  });
});
