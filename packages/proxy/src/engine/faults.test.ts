import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';
import { HttpPool } from '../upstream/http-pool.ts';
import { ActiveStream } from './active-stream.ts';
import { Faults } from './faults.ts';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(async () => {
  engine = new TestEngine();
  a = engine.upstream('a', { http2: true });
  engine.cluster('c', { endpoints: ['a'], http2: true });
  await engine.listener('in', { routes: [routeTo('c', { retryPolicy: { retryOn: '5xx', numRetries: 1 } })] });
});
afterEach(async () => {
  vi.restoreAllMocks();
  expect(await engine.close()).toEqual([]);
});

/** From now on the next call of that method of every stream throws. */
function breakNext(method: keyof ActiveStream): void {
  vi.spyOn(ActiveStream.prototype, method as 'reply').mockImplementationOnce(() => {
    throw new Error(`broken ${method}`);
  });
}

describe('a mistake in one request', () => {
  const ways: [method: string, act: () => Promise<void>][] = [
    ['begin', async () => {}],
    ['body', async () => {}],
    ['onAttached', async () => {}],
    ['onUpstreamHead', async () => a.requests.at(-1)!.respond(200)],
    ['onUpstreamBody', async () => a.requests.at(-1)!.respond(200, { body: 'x' })],
    ['onUpstreamTrailers', async () => a.requests.at(-1)!.respond(200, { body: 'x', trailers: ['a', 'b'] })],
    ['onUpstreamReset', async () => a.requests.at(-1)!.abort()],
    ['onUpstreamInformational', async () => a.requests.at(-1)!.inform(103)],
  ];

  it.each(ways)('(%s) ends it, and nothing else on its two connections', async (method, act) => {
    const client = engine.client('in', { http2: true });
    const other = client.send({ path: '/other' });
    await engine.settle();
    breakNext(method as keyof ActiveStream);
    const broken = client.send({ path: '/broken', body: 'content' });
    await engine.settle();
    await act();
    await engine.settle();
    expect([broken.ends, broken.status === 500 || broken.reset !== '']).toEqual([1, true]);
    a.requests[0]!.respond(200);
    await engine.settle();
    expect([other.status, client.closed, a.open]).toEqual([200, false, 1]);
    expect((await client.call({ path: '/next' })).status).toBe(200);
  });

  beforeEach(() => {
    // The last call of each test above is answered at once.
    a.onRequest = (received) => {
      if (received.head.path === '/next') received.respond(200);
    };
  });

  it('is answered with 500, and logged once with its stack', async () => {
    for (let i = 0; i < 3; i++) {
      breakNext('begin' as keyof ActiveStream);
      expect((await engine.client('in').call()).status).toBe(500);
    }
    expect(engine.last).toMatchObject({ code: 500, details: 'internal_error' });
    const lines = engine.log.filter((line) => line.includes('a mistake in this proxy'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('broken begin');
    expect(lines[0]).toContain('faults.test.ts');
    expect(engine.runtime.faults.count).toBe(3);
  });

  it('whose answer is broken too is cut off all the same', async () => {
    breakNext('begin' as keyof ActiveStream);
    breakNext('reply');
    const call = await engine.client('in').call();
    expect(call.reset).not.toBe('');
    expect(engine.underWay()).toEqual([]);
  });

  it('that comes with time does not stop the clock of the others', async () => {
    const slow = engine.client('in').send({ path: '/slow' });
    await engine.settle();
    await engine.listener('timed', { routes: [routeTo('c', { timeout: '1s' })] });
    breakNext('timer' as keyof ActiveStream);
    const [one, two] = [engine.client('timed').send(), engine.client('timed').send()];
    await engine.advance(1_100);
    expect([one.status, two.status].sort()).toEqual([500, 504]);
    expect(slow.over).toBe(false);
    slow.abort();
  });

  it('in what records it loses the record, not the request', async () => {
    vi.spyOn(engine.managers[0]!.recorder, 'record').mockImplementationOnce(() => {
      throw new Error('broken record');
    });
    expect((await engine.client('in').call({ path: '/next' })).status).toBe(200);
    expect(engine.runtime.faults.count).toBe(1);
  });

  it('of many that wait for one connection leaves the others their turn', async () => {
    breakNext('onAttached');
    const calls = [1, 2, 3].map(() => engine.client('in').send({ path: '/next' }));
    await engine.settle();
    expect(calls.map(({ status }) => status)).toEqual([500, 200, 200]);
  });

  it('of many that wait for routes leaves the others theirs', async () => {
    await engine.listener('rds', { manager: { rds: { routeConfigName: 'r', configSource: { ads: {} } } } });
    const calls = [1, 2, 3].map(() => engine.client('rds').send({ path: '/next' }));
    await engine.settle();
    breakNext('routes' as keyof ActiveStream);
    engine.setRoutes({ name: 'r', virtualHosts: [{ name: 'all', domains: ['*'], routes: [routeTo('c')] }] });
    await engine.settle();
    expect(calls.map(({ status }) => status).sort()).toEqual([200, 200, 500]);
  });
});

describe('a mistake below the requests', () => {
  it('in a pool ends what it had to do, and the process goes on', async () => {
    vi.spyOn(HttpPool.prototype, 'acquire').mockImplementationOnce(() => {
      throw new Error('broken pool');
    });
    expect((await engine.client('in').call({ path: '/next' })).status).toBe(500);
    a.onRequest = (received) => received.respond(200);
    expect((await engine.client('in').call()).status).toBe(200);
  });

  it('in reading ends that connection', async () => {
    const one = engine.client('in', { http2: true });
    const other = engine.client('in', { http2: true });
    const [call, kept] = [one.send(), other.send()];
    await engine.settle();
    vi.spyOn(engine.runtime.names, 'lookup').mockImplementationOnce(() => {
      throw new Error('broken codec');
    });
    // Its head has a name that nobody has seen yet.
    one.send({ headers: ['x-never-seen', '1'] });
    await engine.settle();
    expect([call.over, one.closed]).toEqual([true, true]);
    a.requests[1]!.respond(200);
    await engine.settle();
    expect(kept.status).toBe(200);
  });

  it('in writing loses that write, and the others of the turn leave', async () => {
    const calls = [engine.client('in').send(), engine.client('in').send()];
    await engine.settle();
    a.onRequest = () => {};
    const write = vi.spyOn(Object.getPrototypeOf(engine.runtime.turn.slabs), 'take').mockImplementationOnce(() => {
      throw new Error('broken write');
    });
    for (const received of a.requests) received.respond(200);
    await engine.advance(60_000);
    write.mockRestore();
    expect(calls.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const call of calls) if (!call.over) call.abort();
  });
});

it('stacks are remembered up to a bound: what comes after is counted alone', () => {
  const lines: string[] = [];
  const faults = new Faults((_level, _message, fields) => lines.push(String(fields?.['stack'])));
  for (let i = 0; i < 1000; i++) faults.report(new Error(`number ${i}`), 'x');
  faults.report('no error at all', 'x');
  expect([lines.length, faults.count]).toEqual([100, 1001]);
});
