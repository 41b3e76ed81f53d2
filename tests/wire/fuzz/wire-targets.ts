import type { FastRandom } from '@outrigger/telemetry';
import { data, headers, OK, PREFACE, ping, rst, settings, settingsAck, windowUpdate } from '../../../packages/proxy/src/http2/testing/frames.ts';
import { RawClient } from '../../../packages/proxy/src/listener/testing/raw-client.ts';
import type { MemoryTransport } from '../../../packages/proxy/src/net/memory-transport.ts';
import { TestEngine } from '../../../packages/proxy/src/testing/test-engine.ts';
import { downgrades } from '../differential/downgrades.ts';
import { otherwise, type Reading, readByRfc, readRequests, readResponses } from '../differential/readers.ts';
import { ANSWER } from '../differential/recording-backend.ts';
import { responses } from '../differential/responses.ts';
import { downgradeBytes, requestCases } from '../differential/trials.ts';
import { request } from '../differential/wire-case.ts';
import { cut } from './mutate.ts';
import type { Target } from './target.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const ASK = request('GET /a HTTP/1.1', ['Host: a', 'Connection: close']);

/** A whole proxy between a raw client and a raw upstream, joined by memory. */
class World {
  readonly engine = new TestEngine();
  readonly #http2: boolean;
  /** What the upstream says once it has a whole request; for HTTP/2 at once. */
  #script: readonly Buffer[] = [];
  /** Of each upstream connection that is or was open in this play: what it got in it. */
  #received: { text: string; closed: boolean }[] = [];
  #ready: Promise<void> | undefined;

  constructor(http2Upstream: boolean) {
    this.#http2 = http2Upstream;
  }

  /** What the client got, and what the upstream got on each connection. */
  async play(sent: readonly Buffer[], script: readonly Buffer[]): Promise<{ readonly client: string; readonly upstream: readonly string[] }> {
    this.#ready ??= this.#start();
    await this.#ready;
    const { engine } = this;
    this.#script = script;
    // One on which nothing was sent stays in the pool for the next.
    this.#received = this.#received.filter(({ closed }) => !closed);
    for (const record of this.#received) record.text = '';
    const client = new RawClient(engine, 'in');
    for (const piece of sent) await client.send(piece);
    await engine.settle();
    client.transport.destroy();
    await engine.settle();
    if (engine.runtime.faults.count > 0) throw new Error(`a mistake of the proxy: ${engine.log.join('; ')}`);
    const left = engine.underWay();
    if (left.length > 0) throw new Error(`left: ${left.join('; ')}`);
    return { client: client.text, upstream: this.#received.map(({ text }) => text) };
  }

  async end(): Promise<void> {
    const left = await this.engine.close();
    if (left.length > 0) throw new Error(`left at the end: ${left.join('; ')}`);
  }

  async #start(): Promise<void> {
    const { engine } = this;
    engine.runtime.internalListeners.set('up', (transport, setSink) => this.#accept(transport, setSink));
    engine.cluster('c', { endpoints: ['up'], http2: this.#http2 });
    const manager = { generateRequestId: false, httpProtocolOptions: { acceptHttp10: true } };
    await engine.listener('in', { routes: [{ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } }], manager });
  }

  #accept(transport: MemoryTransport, setSink: (sink: MemoryTransport['sink']) => void): void {
    const record = { text: '', closed: false };
    this.#received.push(record);
    let answered = false;
    const answer = () => {
      answered = true;
      for (const piece of this.#script) transport.write(piece);
      transport.end();
    };
    setSink({
      receive: (buffer, start, end) => {
        record.text += buffer.toString('latin1', start, end);
        if (answered) return;
        if (this.#http2 ? record.text.length > PREFACE.length : readByRfc((reader) => readRequests(record.text, reader)).messages.length > 0) answer();
      },
      receiveEnd: () => transport.end(),
      transportClosed: () => {
        record.closed = true;
      },
      transportDrained: () => {},
    });
  }
}

/** Every upstream connection has one request at most, and all readers agree on it. */
function checkRequests(upstream: readonly string[]): void {
  for (const text of upstream) {
    const read = (reader: Parameters<typeof readRequests>[1]): Reading => readRequests(text, reader);
    const habits = otherwise(read);
    if (habits.length > 0) throw new Error(`passed, and read in two ways (${habits.join('; ')}): ${JSON.stringify(text)}`);
    if (readByRfc(read).messages.length > 1) throw new Error(`two requests: ${JSON.stringify(text)}`);
  }
}

function checkResponses(text: string, methods: readonly string[]): void {
  const read = (reader: Parameters<typeof readResponses>[1]): Reading => readResponses(text, reader, methods);
  const habits = otherwise(read);
  if (habits.length > 0) throw new Error(`answered, and read in two ways (${habits.join('; ')}): ${JSON.stringify(text)}`);
  const { messages, rest } = readByRfc(read);
  if (rest === 'nonsense') throw new Error(`no response: ${JSON.stringify(text)}`);
  if (messages.filter(({ start }) => !start.startsWith('1')).length > methods.length) throw new Error(`more responses than requests: ${JSON.stringify(text)}`);
}

/** `errorsOvertake`: an error of the connection that comes with a request ends it before it is sent, one that comes later does not. */
function requestTarget(name: string, corpus: readonly Buffer[], errorsOvertake: boolean): Target {
  const world = new World(false);
  return {
    name,
    corpus,
    async run(input: Buffer, random: FastRandom) {
      const whole = await world.play([input], [latin1(ANSWER)]);
      checkRequests(whole.upstream);
      const pieces = await world.play(cut(input, random), [latin1(ANSWER)]);
      const [inOne, inPieces] = [whole, pieces].map(({ upstream }) => upstream.flatMap(requestsOf));
      if (errorsOvertake ? inOne!.some((one) => !inPieces!.includes(one)) : inOne!.join('|') !== inPieces!.join('|'))
        throw new Error(`depends on how it is cut: ${JSON.stringify(whole.upstream)} and ${JSON.stringify(pieces.upstream)}`);
    },
    end: () => world.end(),
  };
}

/** The whole ones; how content is delimited may differ, where it is known to be none or is not yet. */
const requestsOf = (text: string): string[] =>
  readByRfc((reader) => readRequests(text, reader)).messages.map(({ start, host, body, headers: fields }) =>
    JSON.stringify([start, host, body, fields.filter(([name]) => name !== 'content-length' && name !== 'transfer-encoding')]),
  );

function responseTarget(name: string, http2Upstream: boolean, corpus: readonly Buffer[]): Target {
  const world = new World(http2Upstream);
  return {
    name,
    corpus,
    async run(input: Buffer, random: FastRandom) {
      for (const script of [[input], cut(input, random)]) checkResponses((await world.play([latin1(ASK)], script)).client, ['GET']);
    },
    end: () => world.end(),
  };
}

const serverFrames: readonly Buffer[] = [
  [headers(1, OK, false), data(1, 'hello', true)],
  [headers(1, [[':status', '103']], false), headers(1, [...OK, ['content-length', '5']], false), data(1, 'hello', false), headers(1, [['t', 'x']], true)],
  [ping('12345678'), windowUpdate(0, 1000), windowUpdate(1, 1000), settingsAck, headers(1, OK, true), rst(1, 0)],
  [settings({ 3: 1, 4: 0, 5: 16_384 }), headers(1, OK, false), data(1, '', false), data(1, 'x', true)],
].map((frames) => Buffer.concat([settings(), ...frames]));

export const wireTargets: readonly Target[] = [
  requestTarget(
    'HTTP/1 requests',
    requestCases.filter(({ bytes }) => bytes.length < 10_000).map(({ bytes, alone }) => latin1(alone === true ? bytes : bytes + ASK)),
    false,
  ),
  requestTarget('HTTP/2 requests', downgrades.map(downgradeBytes), true),
  responseTarget(
    'HTTP/1 responses',
    false,
    responses.filter(({ bytes, method }) => method === 'GET' && bytes.length < 10_000).map(({ bytes }) => latin1(bytes)),
  ),
  responseTarget('HTTP/2 responses', true, serverFrames),
];
