import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { Clock } from '../clock.ts';
import { type DnsResponse, decodeResponse, encodeQuery, type QueryType, RCODE_FORMAT_ERROR, RCODE_NAME_ERROR, RCODE_NO_ERROR, rcodeName } from './message.ts';

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

/** "127.0.0.1", "127.0.0.1:8600", "::1", "[::1]:8600"; undefined: it is none of them. */
export function dnsServerOf(text: string): DnsServer | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(text) ?? /^([0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  return host === '' || port < 1 || port > 65_535 ? undefined : { host, port };
}

export function createDnsClient({ clock, servers }: DnsClientOptions): DnsClient {
  const enders = new Set<() => void>();
  const waiting: (() => void)[] = [];
  const speaksTcp = new Set<string>();
  const withoutTcpUntilMs = new Map<string, number>();
  let inFlight = 0;
  let closed = false;

  async function ask(server: DnsServer, name: string, type: QueryType, edns = true): Promise<DnsOutcome> {
    const id = randomInt(0x10000);
    const query = encodeQuery(id, name, type, edns);
    const answers = (response: DnsResponse | undefined): response is DnsResponse =>
      response !== undefined && response.id === id && response.question?.name === name && response.question.type === type;
    const first = await exchange(server, (end) => byUdp(server, query, answers, end));
    if ('failed' in first) return first;
    // One from before EDNS.
    if (edns && first.response.rcode === RCODE_FORMAT_ERROR) return ask(server, name, type, false);
    const { truncated } = first.response;
    if (!truncated && (type !== 'SRV' || first.response.answers.length < MAY_BE_CUT_SHORT)) return first;
    const key = `${server.host} ${server.port}`;
    if (!truncated && clock.now() < (withoutTcpUntilMs.get(key) ?? 0)) return first;
    const whole = await exchange(server, (end) => byTcp(server, query, answers, end));
    if ('response' in whole) speaksTcp.add(key);
    // From a server that has TCP what came by UDP may be a part, from others there is nothing better.
    if ('response' in whole || truncated || speaksTcp.has(key)) return whole;
    withoutTcpUntilMs.set(key, clock.now() + WITHOUT_TCP_MS);
    return first;
  }

  /** One way to ask, with the time that it has. */
  function exchange({ host, port }: DnsServer, start: (end: (outcome: DnsOutcome) => void) => () => void): Promise<DnsOutcome> {
    return new Promise((resolve) => {
      const end = (outcome: DnsOutcome): void => {
        if (!enders.delete(cancel)) return;
        stopTimer();
        stop();
        resolve('failed' in outcome ? { failed: `${outcome.failed} from ${host}:${port}` } : outcome);
      };
      const cancel = (): void => end({ failed: 'ended, no answer' });
      enders.add(cancel);
      const stopTimer = clock.after(QUERY_TIMEOUT_MS, () => end({ failed: 'no answer' }));
      const stop = start(end);
    });
  }

  async function query(name: string, type: QueryType): Promise<DnsOutcome> {
    let left = servers().slice(0, MAX_SERVERS);
    let failed = 'there is no DNS server to ask';
    for (let round = 0; round < ROUNDS; round++) {
      const silent: DnsServer[] = [];
      for (const server of left) {
        if (closed) return { failed: 'ended' };
        const outcome = await ask(server, name, type);
        if ('failed' in outcome) {
          failed = outcome.failed;
          silent.push(server);
        } else if (outcome.response.rcode === RCODE_NO_ERROR || outcome.response.rcode === RCODE_NAME_ERROR) return outcome;
        else failed = `${rcodeName(outcome.response.rcode)} from ${server.host}:${server.port}`;
      }
      left = silent;
    }
    return { failed };
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

type Answers = (response: DnsResponse | undefined) => response is DnsResponse;

/** From a port of its own, which is connected: datagrams of others do not come in, and those that are no answer to this are passed over. */
function byUdp({ host, port }: DnsServer, query: Buffer, answers: Answers, end: (outcome: DnsOutcome) => void): () => void {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  let ended = false;
  socket.on('error', (error) => end({ failed: errorText(error) }));
  socket.on('message', (message) => {
    const response = decodeResponse(message);
    if (answers(response)) end({ response });
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
    end(answers(response) && !response.truncated ? { response } : { failed: 'an answer to something else' });
  });
  const head = Buffer.alloc(2);
  head.writeUInt16BE(query.length);
  socket.write(Buffer.concat([head, query]));
  return () => socket.destroy();
}

function errorText(error: Error & { readonly code?: string }): string {
  return error.code === 'ECONNREFUSED' ? 'refused' : (error.code ?? error.message);
}
