import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import type { Clock } from '../clock.ts';
import {
  type DnsResponse,
  decodeResponse,
  encodeQuery,
  type QueryType,
  RCODE_FORMAT_ERROR,
  RCODE_NAME_ERROR,
  RCODE_NO_ERROR,
  RCODE_NOT_IMPLEMENTED,
  rcodeName,
} from './message.ts';

const QUERY_TIMEOUT_MS = 2_000;
/** A server that said nothing is asked once more: the datagram may be lost. */
const ROUNDS = 2;
/** As many as a resolver library of C looks at. */
const MAX_SERVERS = 3;
const MAX_IN_FLIGHT = 64;
const DEFAULT_PORT = 53;
/** From so many services on a Consul may have cut an answer of UDP short without a word; by TCP it has all of them. */
const MAY_BE_CUT_SHORT = 3;
/** One that has never answered by TCP is not asked so again for this long: it may drop what it does not serve. */
const WITHOUT_TCP_MS = 60_000;
/** One that said nothing is asked behind the others for this long: else every question would wait for it first. */
const SILENT_MS = 30_000;

export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

/** What the servers said, or why there is nothing to go by: nobody answered, or nobody could say. */
export type DnsOutcome = { readonly response: DnsResponse } | { readonly failed: string };

export interface DnsClientOptions {
  readonly clock: Clock;
  /** Asked in their order, of now. */
  readonly servers: () => readonly DnsServer[];
}

/** Asks resolvers, by UDP and, where the answer is too long for that or may be, by TCP. */
export interface DnsClient {
  /** Fulfilled with "there is no such name" too: that is an answer. */
  query(name: string, type: QueryType): Promise<DnsOutcome>;
  /** What is asked comes to nothing. */
  close(): void;
}

/** "127.0.0.1", "127.0.0.1:8600", "::1", "fe80::1%eth0", "[::1]:8600"; undefined: it is none of them. */
export function dnsServerOf(text: string): DnsServer | undefined {
  if (isIP(text) !== 0) return { host: text, port: DEFAULT_PORT };
  const match = /^(?:\[(?<v6>[^\]]*:[^\]]*)\]|(?<v4>[^:[\]]*))(?::(?<port>\d{1,5}))?$/.exec(text)?.groups;
  const host = match?.v6 ?? match?.v4 ?? '';
  const port = Number(match?.port ?? DEFAULT_PORT);
  return isIP(host) === 0 || port < 1 || port > 65_535 ? undefined : { host, port };
}

export function createDnsClient({ clock, servers }: DnsClientOptions): DnsClient {
  const enders = new Set<() => void>();
  const waiting: (() => void)[] = [];
  const speaksTcp = new Set<string>();
  const withoutTcp = new Lately(clock, WITHOUT_TCP_MS);
  const silent = new Lately(clock, SILENT_MS);
  let inFlight = 0;
  let closed = false;

  async function ask(server: DnsServer, name: string, type: QueryType, edns = true): Promise<DnsOutcome> {
    const id = randomInt(0x10000);
    const query = encodeQuery(id, name, type, edns);
    const answers = (response: DnsResponse | undefined): response is DnsResponse =>
      response?.id === id &&
      // One that could not read the question may leave it out, and says so.
      (response.question === undefined ? !isAnswer(response) : response.question.name === name && response.question.type === type);
    const first = await exchange(server, (end, heard) => byUdp(server, query, answers, end, heard));
    if ('failed' in first) return first;
    const { truncated, rcode } = first.response;
    // One from before EDNS.
    if (edns && (rcode === RCODE_FORMAT_ERROR || rcode === RCODE_NOT_IMPLEMENTED)) return ask(server, name, type, false);
    if (!truncated && (type !== 'SRV' || first.response.answers.length < MAY_BE_CUT_SHORT)) return first;
    const key = textOf(server);
    if (!truncated && withoutTcp.has(key)) return first;
    const whole = await exchange(server, (end) => byTcp(server, query, answers, end));
    if ('response' in whole) speaksTcp.add(key);
    // From a server that has TCP what came by UDP may be a part, from others there is nothing better.
    if ('response' in whole || truncated || speaksTcp.has(key)) return whole;
    withoutTcp.add(key);
    return first;
  }

  /** One way to ask, with the time that it has. */
  function exchange(server: DnsServer, start: (end: (outcome: DnsOutcome) => void, heard: (fault: string) => void) => () => void): Promise<DnsOutcome> {
    return new Promise((resolve) => {
      let stop = (): void => {};
      let soFar = 'no answer';
      const end = (outcome: DnsOutcome): void => {
        if (!enders.delete(cancel)) return;
        stopTimer();
        stop();
        resolve('failed' in outcome ? { failed: `${outcome.failed} from ${textOf(server)}` } : outcome);
      };
      const cancel = (): void => end({ failed: 'ended, no answer' });
      enders.add(cancel);
      const stopTimer = clock.after(QUERY_TIMEOUT_MS, () => end({ failed: soFar }));
      try {
        stop = start(end, (fault) => {
          soFar = fault;
        });
      } catch (error) {
        end({ failed: errorText(error as Error) });
      }
    });
  }

  async function query(name: string, type: QueryType): Promise<DnsOutcome> {
    const all = servers().slice(0, MAX_SERVERS);
    if (all.length === 0) return { failed: 'there is no DNS server to ask' };
    const failures = new Map<DnsServer, string>();
    let left = all.toSorted((a, b) => Number(silent.has(textOf(a))) - Number(silent.has(textOf(b))));
    for (let round = 0; round < ROUNDS; round++) {
      const again: DnsServer[] = [];
      for (const server of left) {
        if (closed) return { failed: 'ended' };
        const outcome = await ask(server, name, type);
        if ('failed' in outcome) {
          silent.add(textOf(server));
          again.push(server);
          failures.set(server, outcome.failed);
          continue;
        }
        silent.delete(textOf(server));
        if (isAnswer(outcome.response)) return outcome;
        failures.set(server, `${rcodeName(outcome.response.rcode)} from ${textOf(server)}`);
      }
      left = again;
    }
    return { failed: all.map((server) => failures.get(server)).join(', ') };
  }

  return {
    async query(name, type) {
      if (inFlight >= MAX_IN_FLIGHT) await new Promise<void>((resolve) => waiting.push(resolve));
      else inFlight += 1;
      try {
        return await query(name, type);
      } finally {
        // The place goes to who waits.
        const next = waiting.shift();
        if (next === undefined) inFlight -= 1;
        else next();
      }
    },
    close() {
      closed = true;
      for (const end of [...enders]) end();
    },
  };
}

/** What happened to servers within the last `forMs`. */
class Lately {
  readonly #clock: Clock;
  readonly #forMs: number;
  readonly #atMs = new Map<string, number>();

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock;
    this.#forMs = forMs;
  }

  add(server: string): void {
    this.#atMs.set(server, this.#clock.now());
  }

  delete(server: string): void {
    this.#atMs.delete(server);
  }

  has(server: string): boolean {
    const sinceMs = this.#clock.now() - (this.#atMs.get(server) ?? Number.NEGATIVE_INFINITY);
    // Below 0 where somebody has set the clock back.
    return sinceMs >= 0 && sinceMs < this.#forMs;
  }
}

function textOf({ host, port }: DnsServer): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Not one that could not say. */
function isAnswer({ rcode }: DnsResponse): boolean {
  return rcode === RCODE_NO_ERROR || rcode === RCODE_NAME_ERROR;
}

const UNREADABLE = 'an answer that cannot be read';

type Answers = (response: DnsResponse | undefined) => response is DnsResponse;

/** From a port of its own, which is connected: datagrams of others do not come in, and those that are no answer to this are passed over. */
function byUdp({ host, port }: DnsServer, query: Buffer, answers: Answers, end: (outcome: DnsOutcome) => void, heard: (fault: string) => void): () => void {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  let ended = false;
  socket.on('error', (error) => end({ failed: errorText(error) }));
  socket.on('message', (message) => {
    const response = decodeResponse(message);
    if (answers(response)) end({ response });
    // Anybody can send that: it is said if nothing better comes.
    else if (response === undefined) heard(UNREADABLE);
  });
  socket.on('connect', () => {
    // It is told a moment later.
    if (!ended) socket.send(query);
  });
  socket.connect(port, host);
  return () => {
    ended = true;
    socket.close();
  };
}

function byTcp({ host, port }: DnsServer, query: Buffer, answers: Answers, end: (outcome: DnsOutcome) => void): () => void {
  const socket = connect({ host, port });
  const chunks: Buffer[] = [];
  let bytes = 0;
  socket.on('error', (error) => end({ failed: errorText(error) }));
  socket.on('close', () => end({ failed: 'half an answer' }));
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes < 2) return;
    const length = Buffer.concat(chunks.slice(0, 2)).readUInt16BE(0);
    if (bytes < 2 + length) return;
    const response = decodeResponse(Buffer.concat(chunks).subarray(2, 2 + length));
    end(answers(response) && !response.truncated ? { response } : { failed: response === undefined ? UNREADABLE : 'an answer to something else' });
  });
  const head = Buffer.alloc(2);
  head.writeUInt16BE(query.length);
  socket.write(Buffer.concat([head, query]));
  return () => socket.destroy();
}

function errorText(error: Error & { readonly code?: string }): string {
  return error.code === 'ECONNREFUSED' ? 'refused' : (error.code ?? error.message);
}
