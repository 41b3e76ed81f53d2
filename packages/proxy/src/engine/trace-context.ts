import type { Random } from '@outrigger/telemetry';
import type { HeaderList } from '../http/message.ts';
import { headerIndex, headerValue } from '../routing/headers.ts';

/** Where a request stands in its trace (W3C Trace Context level 1). */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** Of the caller, '' for a root. */
  readonly parentSpanId: string;
  /** Ours. */
  readonly spanId: string;
  readonly sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const B3_ID = /^[0-9a-f]{16}(?:[0-9a-f]{16})?$/;
const ZERO_TRACE = '0'.repeat(32);
const ZERO_SPAN = '0'.repeat(16);

function hex(random: Random, words: number): string {
  let text = '';
  for (let i = 0; i < words; i++) text += random.uint32().toString(16).padStart(8, '0');
  return text;
}

/** What the caller sent, by `traceparent` or by B3 in either form; undefined: nothing usable. */
function incoming(headers: readonly string[]): { traceId: string; spanId: string; sampled: boolean | undefined } | undefined {
  const traceparent = headerValue(headers, 'traceparent');
  if (traceparent !== undefined) {
    const match = TRACEPARENT.exec(traceparent);
    if (match !== null && match[1] !== 'ff' && match[2] !== ZERO_TRACE && match[3] !== ZERO_SPAN) {
      return { traceId: match[2]!, spanId: match[3]!, sampled: (Number.parseInt(match[4]!, 16) & 1) === 1 };
    }
  }
  const single = headerValue(headers, 'b3');
  const [traceId, spanId, flag] =
    single !== undefined
      ? single.split('-')
      : [headerValue(headers, 'x-b3-traceid'), headerValue(headers, 'x-b3-spanid'), headerValue(headers, 'x-b3-sampled')];
  if (traceId === undefined || spanId === undefined || !B3_ID.test(traceId) || !/^[0-9a-f]{16}$/.test(spanId)) return undefined;
  return { traceId: traceId.padStart(32, '0'), spanId, sampled: flag === undefined ? undefined : flag === '1' || flag === 'd' || flag === 'true' };
}

/**
 * Joins the caller's trace or begins one, and writes our span into the headers that go on: `traceparent` always, B3 where
 * the caller spoke it. `samplingRatio` decides for a trace that nobody has decided about.
 */
export function continueTrace(headers: HeaderList, random: Random, samplingRatio: number): TraceContext {
  const given = incoming(headers);
  const traceId = given?.traceId ?? hex(random, 4);
  const sampled = given?.sampled ?? random.uint32() < samplingRatio * 0x1_0000_0000;
  const spanId = hex(random, 2);
  const flag = sampled ? '1' : '0';
  put(headers, 'traceparent', `00-${traceId}-${spanId}-0${flag}`, true);
  if (given !== undefined) {
    put(headers, 'b3', `${traceId}-${spanId}-${flag}`, false);
    put(headers, 'x-b3-traceid', traceId, false);
    put(headers, 'x-b3-spanid', spanId, false);
    put(headers, 'x-b3-parentspanid', given.spanId, false);
    put(headers, 'x-b3-sampled', flag, false);
  }
  return { traceId, parentSpanId: given?.spanId ?? '', spanId, sampled };
}

function put(headers: HeaderList, name: string, value: string, add: boolean): void {
  const index = headerIndex(headers, name);
  if (index >= 0) headers[index + 1] = value;
  else if (add) headers.push(name, value);
}
