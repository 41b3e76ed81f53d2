import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestEngine } from '../testing/test-engine.ts';
import { RawClient } from './testing/raw-client.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const SETTINGS = '\0\0\0\x04\0\0\0\0\0';
const ROUTES = [{ match: { prefix: '/' }, directResponse: { status: 200 } }];

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

describe('the codec', () => {
  it('AUTO is told by the first bytes, however they are cut', async () => {
    await engine.listener('in', { routes: ROUTES });
    expect(await new RawClient(engine, 'in').send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK/);
    for (let cut = 1; cut < PREFACE.length; cut++) {
      const raw = new RawClient(engine, 'in');
      expect(await raw.send(PREFACE.slice(0, cut))).toBe('');
      // A SETTINGS frame of ours comes first.
      expect((await raw.send(PREFACE.slice(cut) + SETTINGS)).slice(3, 4)).toBe('\x04');
    }
  });

  it('AUTO is HTTP/1 for whatever only begins like the preface', async () => {
    await engine.listener('in', { routes: ROUTES });
    const raw = new RawClient(engine, 'in');
    await raw.send('PRI');
    expect(await raw.send('CE / HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('that is set is the only one: nothing else gets through', async () => {
    await engine.listener('h1', { routes: ROUTES, manager: { codecType: 'HTTP1' } });
    await engine.listener('h2', { routes: ROUTES, manager: { codecType: 'HTTP2' } });
    expect(await new RawClient(engine, 'h1').send(PREFACE)).toMatch(/^HTTP\/1\.1 (400|505) /);
    const raw = new RawClient(engine, 'h2');
    expect(await raw.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')).not.toContain('HTTP/1.1');
    expect(raw.ended).toBe(true);
    expect(engine.records).toHaveLength(0);
  });

  it('AUTO refuses bytes that are no HTTP at all', async () => {
    await engine.listener('in', { routes: ROUTES });
    const raw = new RawClient(engine, 'in');
    expect(await raw.send('\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03')).toMatch(/^HTTP\/1\.1 400 /);
    expect(raw.ended).toBe(true);
  });
});

describe('the end', () => {
  it('gives the client a second to read the last answer, and no more', async () => {
    await engine.listener('in', { routes: ROUTES });
    const raw = new RawClient(engine, 'in');
    await raw.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect([raw.ended, raw.closed]).toEqual([true, false]);
    await raw.send('what it still sends is dropped');
    await engine.advance(900);
    expect([raw.closed, engine.listeners.connectionCount]).toEqual([false, 1]);
    await engine.advance(200);
    expect(engine.listeners.connectionCount).toBe(0);
  });

  it('is at once where the client has ended too', async () => {
    await engine.listener('in', { routes: ROUTES });
    const raw = new RawClient(engine, 'in');
    await raw.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    raw.transport.end();
    await engine.settle();
    expect(engine.listeners.connectionCount).toBe(0);
  });

  it('of a client that has not said a word is nothing special', async () => {
    await engine.listener('in', { routes: ROUTES });
    const [half, gone] = [new RawClient(engine, 'in'), new RawClient(engine, 'in')];
    await half.send('PRI');
    half.transport.end();
    gone.transport.destroy();
    await engine.settle();
    expect(engine.listeners.connectionCount).toBe(0);
  });

  it('a request that comes with its FIN is answered', async () => {
    await engine.listener('in', { routes: ROUTES });
    const raw = new RawClient(engine, 'in');
    raw.transport.write(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    raw.transport.end();
    await engine.settle();
    expect(raw.text).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(engine.listeners.connectionCount).toBe(0);
  });
});

describe('the last answer', () => {
  const ROUTE = [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'x'.repeat(3000) } } }];
  const LAST = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

  it('reaches a peer that reads it late, whole', async () => {
    await engine.listener('in', { routes: ROUTE });
    const raw = new RawClient(engine, 'in');
    raw.transport.pause();
    await raw.send(LAST);
    await engine.advance(20_000);
    raw.transport.resume();
    await engine.settle();
    expect(raw.text.endsWith('x'.repeat(3000))).toBe(true);
    expect(raw.ended).toBe(true);
  });

  it('is given up where the peer takes nothing of it for a minute', async () => {
    await engine.listener('in', { routes: ROUTE });
    const raw = new RawClient(engine, 'in');
    raw.transport.pause();
    await raw.send(LAST);
    await engine.advance(62_000);
    raw.transport.resume();
    await engine.settle();
    expect(raw.closed).toBe(true);
  });
});
