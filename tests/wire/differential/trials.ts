import { Flag, FrameType } from '../../../packages/proxy/src/http2/frame.ts';
import { block, data, frame, headers, PREFACE, settings } from '../../../packages/proxy/src/http2/testing/frames.ts';
import type { Lane } from './contestants.ts';
import { type DowngradeCase, downgrades } from './downgrades.ts';
import { exchange } from './exchange.ts';
import { downgradeOutcome, endsStream, type Outcome, requestOutcome, responseOutcome } from './outcome.ts';
import { chunks, trailers } from './requests/chunks.ts';
import { contentLength } from './requests/content-length.ts';
import { headerNames, headerValues, hopByHop } from './requests/headers.ts';
import { lines } from './requests/lines.ts';
import { hosts, methods, versions } from './requests/start-lines.ts';
import { targets } from './requests/targets.ts';
import { transferEncoding } from './requests/transfer-encoding.ts';
import { type ResponseCase, responses } from './responses.ts';
import { type RequestCase, request } from './wire-case.ts';

/** A case that any of the proxies can be given. */
export interface Trial {
  readonly noun: string;
  readonly name: string;
  readonly expected: string;
  /** `patience` multiplies all waiting. */
  run(lane: Lane, patience: number): Promise<Outcome>;
}

/** Follows each case on its connection: whether it arrives, and as what, shows where a proxy saw the end of the case. */
const NEXT = request('GET /next HTTP/1.1', ['Host: next', 'Connection: close']);

const ofRequest = (noun: string, given: RequestCase): Trial => ({
  noun,
  name: given.name,
  expected: given.expected,
  async run(lane, patience) {
    const bytes = Buffer.from(given.bytes + (given.alone === true ? '' : NEXT), 'latin1');
    return requestOutcome(given, await exchange(lane, bytes, { patience }));
  },
});

const ofResponse = (given: ResponseCase): Trial => ({
  noun: 'responses',
  name: given.name,
  expected: given.expected,
  async run(lane, patience) {
    // Another request would race with the end of the backend's connection.
    const next = given.after === 'stay' ? NEXT : '';
    const asked = request(`${given.method} /a HTTP/1.1`, next === '' ? ['Host: a', 'Connection: close'] : ['Host: a']);
    return responseOutcome(given, await exchange(lane, Buffer.from(asked + next, 'latin1'), { script: { bytes: given.bytes, after: given.after }, patience }));
  },
});

/** The whole of a client's side. */
export function downgradeBytes({ fields, content, trailers: last }: DowngradeCase): Buffer {
  const pieces = [PREFACE, settings(), headers(1, fields, content === undefined)];
  if (content !== undefined) pieces.push(data(1, content, last === undefined));
  if (last !== undefined) pieces.push(frame(FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 1, block(last)));
  return Buffer.concat(pieces);
}

const ofDowngrade = (given: DowngradeCase): Trial => ({
  noun: 'HTTP/2 before HTTP/1',
  name: given.name,
  expected: given.expected,
  async run(lane, patience) {
    return downgradeOutcome(given, await exchange(lane, downgradeBytes(given), { isLast: endsStream, patience }));
  },
});

const nouns: Readonly<Record<string, readonly RequestCase[]>> = {
  'Content-Length': contentLength,
  'Transfer-Encoding': transferEncoding,
  lines,
  'request targets': targets,
  Host: hosts,
  methods,
  versions,
  'header names': headerNames,
  'header values': headerValues,
  'headers of the connection': hopByHop,
  chunks,
  trailers,
};

export const requestCases: readonly RequestCase[] = Object.values(nouns).flat();

export const trials: readonly Trial[] = [
  ...Object.entries(nouns).flatMap(([noun, cases]) => cases.map((given) => ofRequest(noun, given))),
  ...downgrades.map(ofDowngrade),
  ...responses.map(ofResponse),
];
