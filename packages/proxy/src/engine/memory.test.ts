import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

it('nothing of a request that is over is kept, however it ended, while its connections live on', async () => {
  const engine = new TestEngine();
  const upstream = engine.upstream('a', { http2: true });
  engine.cluster('c', { endpoints: ['a'], http2: true, fields: { outlierDetection: { consecutive5xx: 1000 } } });
  engine.cluster('gone', { endpoints: ['nobody'] });
  const retryPolicy = { retryOn: '5xx,reset', numRetries: 2 };
  await engine.listener('in', {
    routes: [
      { match: { prefix: '/gone' }, route: { cluster: 'gone', timeout: '0s', retryPolicy } },
      { match: { prefix: '/absent' }, route: { cluster: 'absent', timeout: '0s' } },
      { match: { prefix: '/local' }, directResponse: { status: 200 } },
      routeTo('c', { timeout: '1s', retryPolicy }),
    ],
    manager: { streamIdleTimeout: '5s' },
  });
  const streams: WeakRef<object>[] = [];
  for (const { recorder } of engine.managers) {
    const record = recorder.record.bind(recorder);
    recorder.record = (stream) => {
      streams.push(new WeakRef(stream));
      record(stream);
    };
  }
  upstream.onRequest = (received) => {
    if (received.head.path === '/good') received.respond(200, { body: 'x' });
    else if (received.head.path === '/bad') received.respond(503);
    else if (received.head.path === '/reset') received.abort();
  };
  const [downstream, other] = [engine.client('in', { http2: true }), engine.client('in')];
  for (let i = 0; i < 5; i++) {
    for (const path of ['/good', '/bad', '/reset', '/silent', '/gone', '/absent', '/local', '/silent?aborted']) {
      const call = downstream.send({ path, method: 'PUT', body: 'content' });
      await engine.settle();
      if (path.endsWith('aborted')) call.abort();
      await engine.until(() => call.over);
    }
    await other.call({ path: '/good' });
  }
  expect(streams).toHaveLength(45);
  upstream.requests.length = 0;
  upstream.onRequest = () => {};
  await engine.advance(100);
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([downstream.closed, upstream.open > 0]).toEqual([false, true]);
  // The last one of each connection may still be what its codec looks at.
  expect(streams.filter((stream) => stream.deref() !== undefined).length).toBeLessThanOrEqual(3);
  expect(await engine.close()).toEqual([]);
});
