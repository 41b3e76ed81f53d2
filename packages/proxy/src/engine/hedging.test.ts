import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a');
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const POLICY: JsonObject = { retryOn: '5xx', numRetries: 2, perTryTimeout: '0.100s' };
const HEDGE: JsonObject = { hedgePolicy: { hedgeOnPerTryTimeout: true } };

async function start(policy: JsonObject = {}, action: JsonObject = {}, virtualHost: JsonObject = {}): Promise<void> {
  engine.cluster('c', { endpoints: ['a'] });
  await engine.listener('in', { routes: [routeTo('c', { retryPolicy: { ...POLICY, ...policy }, ...action })], virtualHost });
}

describe('an attempt whose time is over', () => {
  it('may still answer, and the one made beside it is given up', async () => {
    await start({}, HEDGE);
    const call = engine.client('in').send();
    await engine.until(() => a.requests.length === 2);
    expect(a.requests[0]!.reset).toBe('');
    a.requests[0]!.respond(200, { body: 'the first' });
    await engine.until(() => call.over);
    expect([call.status, call.body, call.ends]).toEqual([200, 'the first', 1]);
    expect(a.requests[1]!.reset).not.toBe('');
    expect(engine.last).toMatchObject({ code: 200, flags: '-', attempts: 2 });
  });

  it('is given up when the one beside it answers', async () => {
    await start({}, HEDGE);
    const call = engine.client('in').send();
    await engine.until(() => a.requests.length === 3);
    a.requests[2]!.respond(200, { body: 'the third' });
    await engine.until(() => call.over);
    expect(call.body).toBe('the third');
    expect(a.requests.map(({ reset }) => reset !== '')).toEqual([true, true, false]);
  });

  it('answers with a failure: the others are waited for', async () => {
    await start({}, HEDGE);
    const call = engine.client('in').send();
    await engine.until(() => a.requests.length === 2);
    a.requests[0]!.respond(503);
    await engine.settle();
    expect(call.over).toBe(false);
    a.requests[1]!.respond(200);
    await engine.until(() => call.over);
    expect(call.status).toBe(200);
  });

  it('is the last that answers, with a failure: that is passed on', async () => {
    await start({ numRetries: 1 }, HEDGE);
    const call = engine.client('in').send();
    await engine.until(() => a.requests.length === 2);
    a.requests[1]!.respond(503);
    await engine.settle();
    expect(call.over).toBe(false);
    a.requests[0]!.respond(502);
    await engine.until(() => call.over);
    expect(call.status).toBe(502);
    expect(engine.last.flags).toBe('URX');
  });

  it('is reset while another is under way: nobody is told', async () => {
    await start({}, HEDGE);
    const call = engine.client('in').send();
    await engine.until(() => a.requests.length === 2);
    a.requests[0]!.abort();
    await engine.settle();
    expect(call.over).toBe(false);
    a.requests[1]!.respond(200);
    await engine.until(() => call.over);
    expect(call.status).toBe(200);
  });

  it('without a retry that is left goes on, up to the timeout of the route', async () => {
    await start({ numRetries: 0 }, { ...HEDGE, timeout: '1s' });
    const call = engine.client('in').send();
    await engine.until(() => call.over);
    expect(call.status).toBe(504);
    expect(a.requests).toHaveLength(1);
    expect(engine.last.durationMs).toBeGreaterThanOrEqual(1000);
  });

  it('ends with the caller, all of it', async () => {
    await start({}, HEDGE);
    const client = engine.client('in');
    client.send();
    await engine.until(() => a.requests.length === 2);
    client.destroy();
    await engine.settle();
    expect(a.requests.every(({ reset }) => reset !== '')).toBe(true);
  });
});

describe('x-envoy-is-timeout-retry', () => {
  it('says why an attempt is made again', async () => {
    await start({ retryOn: '5xx', numRetries: 3 }, {}, { includeIsTimeoutRetryHeader: true });
    a.onRequest = (received) => {
      if (a.requests.length === 1) received.respond(503);
      if (a.requests.length === 3) received.respond(200);
    };
    expect((await engine.client('in').call()).status).toBe(200);
    expect(a.requests.map((received) => received.header('x-envoy-is-timeout-retry'))).toEqual([undefined, 'false', 'true']);
  });
});

describe('per-try idle timeout', () => {
  it('ends an attempt of which nothing comes, and another is made', async () => {
    await start({ perTryTimeout: '0s', perTryIdleTimeout: '0.400s', numRetries: 1 });
    a.onRequest = (received) => {
      if (a.requests.length === 2) received.respond(200);
    };
    expect((await engine.client('in').call()).status).toBe(200);
    expect(a.requests).toHaveLength(2);
    expect(engine.last.durationMs).toBeGreaterThanOrEqual(400);
  });

  it('is said as 504 when no retry is left', async () => {
    await start({ perTryTimeout: '0s', perTryIdleTimeout: '0.400s', numRetries: 0 });
    expect((await engine.client('in').call()).status).toBe(504);
    expect(engine.last).toMatchObject({ flags: 'UT', details: 'upstream_per_try_idle_timeout' });
  });

  it('cuts an answer that stops, and none that goes on', async () => {
    await start({ perTryTimeout: '0s', perTryIdleTimeout: '0.400s' });
    a.onRequest = (received) => received.begin(200);
    const call = engine.client('in').send();
    await engine.settle();
    for (let piece = 0; piece < 6; piece++) {
      a.last.write('x');
      await engine.advance(300);
    }
    expect(call.over).toBe(false);
    await engine.advance(600);
    expect(call.reset).not.toBe('');
    expect(engine.last).toMatchObject({ code: 200, flags: 'UT', details: 'upstream_per_try_idle_timeout' });
  });
});

describe('a retry', () => {
  const PREDICATE = (name: string, fields: JsonObject = {}): JsonObject => ({
    name: `envoy.retry_host_predicates.${name}`,
    typedConfig: { '@type': `type.googleapis.com/envoy.extensions.retry.host.${name}.v3.${fields['type']}`, ...((fields['config'] as JsonObject) ?? {}) },
  });

  it.each([
    ['omit_canary_hosts', PREDICATE('omit_canary_hosts', { type: 'OmitCanaryHostsPredicate' }), { canary: true }],
    [
      'omit_host_metadata',
      PREDICATE('omit_host_metadata', { type: 'OmitHostMetadataConfig', config: { metadataMatch: { filterMetadata: { 'envoy.lb': { zone: 'x' } } } } }),
      { zone: ['w', 'x'] },
    ],
  ])('goes to no endpoint that %s leaves out; a first attempt may', async (_what, predicate, metadata) => {
    const b = engine.upstream('b');
    engine.cluster('two', { endpoints: [{ at: 'a', metadata: { filterMetadata: { 'envoy.lb': metadata } } }, 'b'], fields: { lbPolicy: 'RANDOM' } });
    const retryPolicy = { retryOn: '5xx', numRetries: 1, hostSelectionRetryMaxAttempts: '30', retryHostPredicate: [predicate] };
    await engine.listener('in', { routes: [routeTo('two', { retryPolicy })] });
    a.script(503);
    b.script(200);
    for (let i = 0; i < 20; i++) await engine.client('in').call();
    expect(a.requests.length).toBeGreaterThan(0);
    // Every first attempt at the one was followed by one at the other.
    expect(b.requests).toHaveLength(20);
    expect(engine.records.filter(({ code }) => code !== 200)).toHaveLength(0);
  });

  it('leaves out priorities that had an attempt (previous_priorities)', async () => {
    const b = engine.upstream('b');
    engine.cluster('two', {
      fields: {
        type: 'STATIC',
        edsClusterConfig: null,
        loadAssignment: {
          clusterName: 'two',
          endpoints: [0, 1].map((priority) => ({
            priority,
            lbEndpoints: [{ endpoint: { address: { envoyInternalAddress: { serverListenerName: priority === 0 ? 'a' : 'b' } } } }],
          })),
        },
      },
    });
    const retryPriority = {
      name: 'envoy.retry_priorities.previous_priorities',
      typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', updateFrequency: 2 },
    };
    await engine.listener('in', { routes: [routeTo('two', { retryPolicy: { retryOn: '5xx', numRetries: 4, retryPriority } })] });
    const order: string[] = [];
    a.answer((received) => {
      order.push('a');
      received.respond(503);
    });
    b.answer((received) => {
      order.push('b');
      received.respond(503);
    });
    await engine.client('in').call();
    expect(order.join('')).toBe('aabba');
  });
});
