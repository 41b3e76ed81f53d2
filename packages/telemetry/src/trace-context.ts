import { headerText } from './command-operators.ts';
import type { Random } from './random.ts';
import { hex32 } from './request-id.ts';

/** Where a trace came from: what is passed on speaks the same. */
export type TraceFormat = 'w3c' | 'b3-multi' | 'b3-single';

/** One request's place in a trace. `spanId` is our own span; `parentSpanId` the caller's ('' for a new trace). */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 of them. */
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly sampled: boolean;
  /** Of W3C, passed on as it came; ''. */
  readonly traceState: string;
  readonly format: TraceFormat;
}

/** Share of traces sampled where the caller has not decided. */
export const DEFAULT_SAMPLING = 0.01;
/** W3C Trace Context section 3.3.1.5: at least 512 characters must be passed on; longer ones are dropped whole. */
const MAX_TRACE_STATE_LENGTH = 4096;

/** Its fields stand where they stand: captures would cost an array a request. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
const TRACEPARENT_00_LENGTH = 55;
const B3_SINGLE = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?$/;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

interface Incoming {
  readonly traceId: string;
  readonly spanId: string;
  /** undefined: the caller leaves it to us. */
  readonly sampled: boolean | undefined;
  readonly traceState: string;
  readonly format: TraceFormat;
}

/** W3C Trace Context section 3.2. A version that is not known is read as far as version 00 goes; ff is invalid. */
function readW3c(headers: readonly string[]): Incoming | undefined {
  const text = headerText(headers, 'traceparent');
  if (text === '' || !TRACEPARENT.test(text)) return undefined;
  if (text.startsWith('ff') || (text.startsWith('00') && text.length > TRACEPARENT_00_LENGTH)) return undefined;
  const traceId = text.slice(3, 35);
  const spanId = text.slice(36, 52);
  if (traceId === ZERO_TRACE || spanId === ZERO_SPAN) return undefined;
  const state = headerText(headers, 'tracestate');
  return {
    traceId,
    spanId,
    sampled: (Number.parseInt(text.slice(53, 55), 16) & 1) === 1,
    traceState: state.length > MAX_TRACE_STATE_LENGTH ? '' : state,
    format: 'w3c',
  };
}

function b3Decision(text: string | undefined): boolean | undefined {
  return text === undefined || text === '' ? undefined : text === '1' || text === 'd' || text === 'true';
}

function readB3Single(headers: readonly string[]): Incoming | undefined {
  const text = headerText(headers, 'b3');
  const found = text === '' ? null : B3_SINGLE.exec(text.toLowerCase());
  if (found === null) return undefined;
  return checked(found[1]!, found[2]!, b3Decision(found[3]), 'b3-single');
}

function readB3Multi(headers: readonly string[]): Incoming | undefined {
  const given = headerText(headers, 'x-b3-traceid');
  if (given === '') return undefined;
  const traceId = given.toLowerCase();
  if (!/^([0-9a-f]{16}|[0-9a-f]{32})$/.test(traceId)) return undefined;
  const spanId = headerText(headers, 'x-b3-spanid').toLowerCase();
  if (!/^[0-9a-f]{16}$/.test(spanId)) return undefined;
  const flags = headerText(headers, 'x-b3-flags');
  return checked(traceId, spanId, flags === '1' ? true : b3Decision(headerText(headers, 'x-b3-sampled').toLowerCase()), 'b3-multi');
}

function checked(traceId: string, spanId: string, sampled: boolean | undefined, format: TraceFormat): Incoming | undefined {
  const wide = traceId.padStart(32, '0');
  return wide === ZERO_TRACE || spanId === ZERO_SPAN ? undefined : { traceId: wide, spanId, sampled, traceState: '', format };
}

function makeSpanId(random: Random): string {
  // Never zero: that would be no span.
  return hex32(random.uint32()) + hex32((random.uint32() | 1) >>> 0);
}

/** Continues the caller's trace, W3C before B3, or begins one. `sampling` is the share of new traces that are sampled, [0, 1]. */
export function continueTrace(headers: readonly string[], random: Random, sampling: number = DEFAULT_SAMPLING): TraceContext {
  const incoming = readW3c(headers) ?? readB3Single(headers) ?? readB3Multi(headers);
  const decide = (): boolean => random.uint32() < sampling * 0x1_0000_0000;
  if (incoming === undefined) {
    const traceId = hex32(random.uint32()) + hex32(random.uint32()) + hex32(random.uint32()) + hex32((random.uint32() | 1) >>> 0);
    return { traceId, spanId: makeSpanId(random), parentSpanId: '', sampled: decide(), traceState: '', format: 'w3c' };
  }
  return {
    traceId: incoming.traceId,
    spanId: makeSpanId(random),
    parentSpanId: incoming.spanId,
    sampled: incoming.sampled ?? decide(),
    traceState: incoming.traceState,
    format: incoming.format,
  };
}

/** Headers that carry a trace and are replaced on the way; all lower case. */
export const TRACE_HEADERS: readonly string[] = [
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
];

/**
 * Name, value, name, value ... that go upstream, in the caller's format (a new trace in W3C's). The caller removes
 * TRACE_HEADERS of the request first.
 */
export function traceHeaders(context: TraceContext): string[] {
  const { traceId, spanId, parentSpanId, sampled } = context;
  switch (context.format) {
    case 'w3c': {
      const headers = ['traceparent', `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`];
      if (context.traceState !== '') headers.push('tracestate', context.traceState);
      return headers;
    }
    case 'b3-single':
      return ['b3', `${traceId}-${spanId}-${sampled ? '1' : '0'}${parentSpanId === '' ? '' : `-${parentSpanId}`}`];
    case 'b3-multi': {
      const headers = ['x-b3-traceid', traceId, 'x-b3-spanid', spanId, 'x-b3-sampled', sampled ? '1' : '0'];
      if (parentSpanId !== '') headers.push('x-b3-parentspanid', parentSpanId);
      return headers;
    }
  }
}
