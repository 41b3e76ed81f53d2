import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { ClientLog } from '../http/testing/client-log.ts';
import { type Exchange, MessageLog, ServerLog } from '../http/testing/exchange-log.ts';
import { connect, listen } from './testing/loopback.ts';

/** Against Node's HTTP/2, which is nghttp2: a codec that nobody here wrote. */
const SIZES = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 1024 * 1024];

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A text whose every part differs from its neighbours, so that nothing can change places. */
function pattern(size: number): string {
  let text = '';
  for (let i = 0; text.length < size; i++) text += `${i},`;
  return text.slice(0, size);
}

/** Gives all of it, heeding `false`. */
function sendAll(stream: { sendBody: Exchange['stream']['sendBody'] }, log: MessageLog, bytes: Buffer): void {
  let p = 0;
  const more = () => {
    while (p < bytes.length || p === 0) {
      const end = Math.min(bytes.length, p + 30_000);
      const go = stream.sendBody(bytes, p, end, end === bytes.length);
      p = Math.max(end, 1);
      if (!go || end === bytes.length) return;
    }
  };
  log.on = (event) => {
    if (event === 'drain' && p < bytes.length) more();
  };
  more();
}

function bodyOf(log: MessageLog): string {
  return log.lines.find((line) => line.startsWith('body '))?.slice(5) ?? '';
}

async function ourServer(handle: (exchange: Exchange) => void) {
  const logs: ServerLog[] = [];
  const server = await listen(() => {
    const log = new ServerLog(handle);
    logs.push(log);
    return log;
  });
  cleanups.push(() => server.close());
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  session.on('error', () => {});
  cleanups.push(() => session.destroy());
  await once(session, 'remoteSettings');
  return { server, session, logs };
}

/** Node's own: answers with what it got, in the head and in content. */
async function nodeServer(
  handle: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, rawHeaders: string[]) => void,
  settings: http2.Settings = {},
) {
  const server = http2.createServer({ settings });
  server.on('stream', (stream, headers, _flags, rawHeaders) => {
    stream.on('error', () => {});
    handle(stream as http2.ServerHttp2Stream, headers, rawHeaders);
  });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const log = new ClientLog();
  const [client, socket] = await connect((server.address() as AddressInfo).port, log);
  cleanups.push(() => {
    socket.destroy();
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { client, log, sessions };
}

function request(
  client: { request: (head: RequestHead, fin: boolean, log: MessageLog) => Exchange['stream'] | ReturnType<Awaited<ReturnType<typeof connect>>[0]['request']> },
  given: Partial<RequestHead>,
  fin: boolean,
): [ReturnType<typeof client.request>, MessageLog] {
  const log = new MessageLog();
  const head = Object.assign(new RequestHead(), { method: 'GET', path: '/', authority: 'a:1', bodyLength: -1 }, given);
  return [client.request(head, fin, log), log];
}

/** Fulfilled when the message is whole, or reset. */
function ended(log: MessageLog): Promise<void> {
  return new Promise((resolve) => {
    const before = log.on;
    const look = () => {
      if (log.ended || log.wasReset) resolve();
    };
    log.on = (event) => {
      before(event);
      look();
    };
    look();
  });
}

describe("our server and Node's client", () => {
  it.each(SIZES)('echo %i bytes', async (size) => {
    const { session } = await ourServer((exchange) => {
      exchange.log.on = () => {
        if (!exchange.log.ended) return;
        const bytes = Buffer.from(bodyOf(exchange.log), 'latin1');
        exchange.stream.sendResponse(Object.assign(new ResponseHead(), { status: 200, headers: ['X-Length', `${bytes.length}`] }), false);
        sendAll(exchange.stream, exchange.log, bytes);
      };
    });
    const content = pattern(size);
    const stream = session.request({ ':method': 'POST', ':path': '/echo' });
    stream.end(content);
    const [headers] = await once(stream, 'response');
    expect(headers['x-length']).toBe(`${size}`);
    expect((await readText(stream)) === content).toBe(true);
  });

  it('read every byte that a value may have, in Huffman coding', async () => {
    const seen: string[] = [];
    const { session } = await ourServer(({ stream, head }) => {
      seen.push(head.headers[head.headers.indexOf('x-bytes') + 1]!);
      stream.sendResponse(Object.assign(new ResponseHead(), { status: 204 }), true);
    });
    const values: string[] = [];
    for (let code = 0x21; code < 256; code++) if (code !== 0x7f) values.push(`${'0'.repeat(12)}${String.fromCharCode(code)}`);
    for (const value of values) {
      const stream = session.request({ ':path': '/', 'x-bytes': value });
      await once(stream, 'response');
      stream.resume();
      await once(stream, 'close');
    }
    expect(seen).toEqual(values);
  });

  it('keep the tables in step over many different heads', async () => {
    const seen: string[][] = [];
    const { session } = await ourServer(({ stream, head }) => {
      const own = head.headers.filter((_, i, all) => all[i - (i % 2)]!.startsWith('x-'));
      seen.push(own);
      stream.sendResponse(Object.assign(new ResponseHead(), { status: 200, headers: own }), true);
    });
    const sent: string[][] = [];
    const got: string[][] = [];
    for (let i = 0; i < 300; i++) {
      const own = [`x-${i % 7}`, `value ${i % 11}`.repeat(1 + (i % 13)), `x-n${i % 150}`, `${i}`];
      sent.push(own);
      const stream = session.request({ ':path': `/${i % 5}`, [own[0]!]: own[1], [own[2]!]: own[3] });
      const [headers] = await once(stream, 'response');
      stream.resume();
      got.push([own[0]!, headers[own[0]!], own[2]!, headers[own[2]!]]);
    }
    expect(seen).toEqual(sent);
    expect(got).toEqual(sent);
  });

  it('serve 200 streams at once', async () => {
    const { session, logs } = await ourServer((exchange) => {
      exchange.log.on = () => {
        if (!exchange.log.ended) return;
        const bytes = Buffer.from(exchange.head.path + pattern(20_000));
        exchange.stream.sendResponse(Object.assign(new ResponseHead(), { status: 200, bodyLength: bytes.length }), false);
        sendAll(exchange.stream, exchange.log, bytes);
      };
    });
    const all = Array.from({ length: 200 }, async (_, i) => {
      const stream = session.request({ ':method': 'POST', ':path': `/${i}` });
      stream.end(pattern(5000));
      return (await readText(stream)) === `/${i}${pattern(20_000)}`;
    });
    expect((await Promise.all(all)).every((same) => same)).toBe(true);
    expect(logs[0]!.exchanges.every(({ log }) => log.bytes === 5000)).toBe(true);
  });

  it('wait for a reader that is slow, and hold no more than the windows', async () => {
    const bytes = Buffer.from(pattern(1024 * 1024));
    let given = 0;
    const { session, logs } = await ourServer((exchange) => {
      exchange.stream.sendResponse(Object.assign(new ResponseHead(), { status: 200 }), false);
      let p = 0;
      const more = () => {
        while (p < bytes.length) {
          const end = Math.min(bytes.length, p + 10_000);
          const go = exchange.stream.sendBody(bytes, p, end, end === bytes.length);
          p = end;
          if (exchange.head.path === '/') given = p;
          if (!go) return;
        }
      };
      exchange.log.on = (event) => event === 'drain' && more();
      more();
    });
    const stream = session.request({ ':path': '/' });
    await once(stream, 'response');
    // Another stream comes and goes meanwhile.
    const other = session.request({ ':path': '/other', ':method': 'HEAD' });
    await once(other, 'response');
    expect(logs[0]!.exchanges).toHaveLength(2);
    expect(given).toBeLessThan(200_000);
    expect((await readText(stream)) === bytes.toString('latin1')).toBe(true);
  });

  it('exchange trailers, informational responses and ends', async () => {
    const { session, logs } = await ourServer((exchange) => {
      exchange.stream.sendInformational(Object.assign(new ResponseHead(), { status: 103, headers: ['link', '</a>'] }));
      exchange.log.on = () => {
        if (!exchange.log.ended) return;
        exchange.stream.sendResponse(Object.assign(new ResponseHead(), { status: 200 }), false);
        exchange.stream.sendBody(Buffer.from('x'), 0, 1, false);
        exchange.stream.sendTrailers(['grpc-status', '0']);
      };
    });
    const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true } as http2.ClientSessionRequestOptions);
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
    const early = once(stream, 'headers');
    const trailers = once(stream, 'trailers');
    stream.end('content');
    expect((await early)[0]).toMatchObject({ ':status': 103, link: '</a>' });
    expect(await readText(stream)).toBe('x');
    expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
    expect(logs[0]!.last.log.lines).toEqual(['body content', 'trailers ["x-sum","1"]', 'end']);
  });

  it('tell each other of resets', async () => {
    const { session, logs } = await ourServer((exchange) => {
      if (exchange.head.path === '/refused') exchange.stream.reset('Overflow');
    });
    const refused = session.request({ ':path': '/refused' });
    await expect(once(refused, 'response')).rejects.toThrow('NGHTTP2_REFUSED_STREAM');
    const cancelled = session.request({ ':path': '/cancelled' });
    cancelled.on('error', () => {});
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    cancelled.close(http2.constants.NGHTTP2_CANCEL);
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    expect(logs[0]!.last.log.lines).toEqual(['reset RemoteReset: CANCEL']);
  });

  it('part in two steps, with what is under way served', async () => {
    const { server, session, logs } = await ourServer(() => {});
    const stream = session.request({ ':path': '/' });
    await new Promise<void>((resolve) => session.ping(() => resolve()));
    server.connections[0]!.drain();
    await once(session, 'goaway');
    logs[0]!.last.stream.sendResponse(Object.assign(new ResponseHead(), { status: 200 }), true);
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    stream.resume();
    await once(session, 'close');
  });

  it('make a tunnel by extended CONNECT', async () => {
    const { session, logs } = await ourServer((exchange) => {
      exchange.stream.sendResponse(Object.assign(new ResponseHead(), { status: 101, tunnel: true }), false);
      exchange.log.on = (event) => {
        if (event === 'body') exchange.stream.sendBody(Buffer.from('pong'), 0, 4, exchange.log.ended);
      };
    });
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/chat', ':authority': 'a' });
    const [headers] = await once(stream, 'response');
    expect(headers[':status']).toBe(200);
    stream.end('ping');
    expect(await readText(stream)).toMatch(/^(pong)+$/);
    expect(logs[0]!.last.log.lines).toEqual(['body ping', 'end']);
  });
});

describe("our client and Node's server", () => {
  it.each(SIZES)('echo %i bytes', async (size) => {
    const { client } = await nodeServer((stream, headers) => {
      stream.respond({ ':status': 200, 'x-method': headers[':method'] });
      stream.pipe(stream);
    });
    const [stream, log] = request(client, { method: 'POST', path: '/echo' }, false);
    const content = pattern(size);
    sendAll(stream, log, Buffer.from(content));
    await ended(log);
    expect(log.responses[0]).toMatchObject({ status: 200 });
    expect(bodyOf(log) === content).toBe(true);
  });

  it('keep the tables in step over many different heads', async () => {
    const seen: string[][] = [];
    const { client } = await nodeServer((stream, _headers, raw) => {
      seen.push(raw.filter((_, i) => raw[i - (i % 2)]!.startsWith('x-')));
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    const sent: string[][] = [];
    for (let i = 0; i < 300; i++) {
      const own = [`x-${i % 7}`, `value ${i % 11}`.repeat(1 + (i % 13)), `x-n${i % 150}`, `${i}`, 'x-\xe9'.slice(0, 2), `\xe9${i % 3}`];
      sent.push(own);
      await ended(request(client, { headers: ['User-Agent', 'us', ...own, 'Cookie', 'a=b'], path: `/${i % 5}` }, true)[1]);
    }
    expect(seen).toEqual(sent);
  });

  it('send 200 requests at once, within what the server allows', async () => {
    let most = 0;
    let open = 0;
    const { client, log: events } = await nodeServer(
      (stream, headers) => {
        most = Math.max(most, ++open);
        stream.once('close', () => open--);
        stream.respond({ ':status': 200 });
        stream.end(headers[':path'] + pattern(20_000));
      },
      { maxConcurrentStreams: 50 },
    );
    const waiting = Array.from({ length: 200 }, (_, i) => i);
    const results: Promise<boolean>[] = [];
    await new Promise<void>((resolve) => {
      const next = () => {
        while (client.capacity > 0 && waiting.length > 0) {
          const path = `/${waiting.shift()}`;
          const [, log] = request(client, { path }, true);
          results.push(ended(log).then(() => bodyOf(log) === path + pattern(20_000)));
        }
        if (waiting.length === 0) resolve();
      };
      // The first time when the server's SETTINGS are here.
      events.onFree = next;
    });
    expect((await Promise.all(results)).filter((same) => !same)).toEqual([]);
    expect(results).toHaveLength(200);
    expect(most).toBeLessThanOrEqual(50);
  });

  it('read no faster than the stream is read', async () => {
    const size = 8 * 1024 * 1024;
    let stream: http2.ServerHttp2Stream | undefined;
    const { client, sessions } = await nodeServer((one, headers) => {
      one.respond({ ':status': 200 });
      if (headers[':path'] === '/big') {
        stream = one;
        one.end(Buffer.alloc(size, 'x'));
      } else one.end();
    });
    const [slow, log] = request(client, { path: '/big' }, true);
    slow.pause();
    // The others are not held up.
    for (let i = 0; i < 3; i++) await ended(request(client, { path: '/other' }, true)[1]);
    await new Promise<void>((resolve) => sessions[0]!.ping(() => resolve()));
    expect(log.bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(stream!.writableFinished).toBe(false);
    slow.resume();
    await ended(log);
    expect(log.bytes).toBe(size);
  });

  it('exchange trailers and informational responses', async () => {
    let trailers: unknown;
    const { client } = await nodeServer((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.on('trailers', (headers) => {
        trailers = headers;
      });
      stream.resume();
      stream.once('end', () => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end('x');
      });
    });
    const [stream, log] = request(client, { method: 'POST' }, false);
    stream.sendBody(Buffer.from('content'), 0, 7, false);
    stream.sendTrailers(['X-Sum', '1']);
    await ended(log);
    expect(log.informational[0]).toMatchObject({ status: 103, headers: ['link', '</a>'] });
    expect(log.lines.slice(-3)).toEqual(['body x', 'trailers ["grpc-status","0"]', 'end']);
    expect(trailers).toMatchObject({ 'x-sum': '1' });
  });

  it('tell each other of resets', async () => {
    const { client } = await nodeServer((stream, headers) => {
      if (headers[':path'] === '/refused') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else if (headers[':path'] === '/late') {
        stream.respond({ ':status': 200 });
        stream.write('x', () => stream.destroy(new Error('broken')));
      }
    });
    const [, refused] = request(client, { path: '/refused' }, true);
    await ended(refused);
    expect(refused.lines).toEqual(['reset RemoteRefusedStream: REFUSED_STREAM']);
    const [, late] = request(client, { path: '/late' }, true);
    await ended(late);
    expect(late.lines.at(-1)).toBe('reset RemoteReset: INTERNAL_ERROR');
    const [stream] = request(client, { path: '/mine' }, true);
    stream.reset('LocalReset');
    await ended(request(client, { path: '/refused' }, true)[1]);
    expect(client.activeStreams).toBe(0);
  });

  it('part when the server goes away', async () => {
    const {
      client,
      log: events,
      sessions,
    } = await nodeServer((stream) => {
      stream.respond({ ':status': 200 });
      sessions[0]!.close();
      setImmediate(() => stream.end('x'));
    });
    const [, log] = request(client, {}, true);
    await ended(log);
    expect(bodyOf(log)).toBe('x');
    expect(events.draining).toBe(true);
    expect(events.closed).toBe('');
  });

  it('make a tunnel by extended CONNECT', async () => {
    const { client } = await nodeServer(
      (stream, headers) => {
        if (headers[':protocol'] === 'websocket' && headers[':path'] === '/chat') stream.respond({ ':status': 200 });
        else stream.respond({ ':status': 204 }, { endStream: true });
        stream.pipe(stream);
      },
      { enableConnectProtocol: true },
    );
    // By its answer the server's SETTINGS are here.
    await ended(request(client, {}, true)[1]);
    expect(client.allowsUpgrade).toBe(true);
    const [stream, log] = request(client, { path: '/chat', protocol: 'websocket' }, false);
    stream.sendBody(Buffer.from('ping'), 0, 4, true);
    await ended(log);
    expect(log.responses[0]).toMatchObject({ tunnel: true });
    expect(log.lines.slice(1)).toEqual(['body ping', 'end']);
  });
});
