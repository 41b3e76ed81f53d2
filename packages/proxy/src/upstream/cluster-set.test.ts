import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compileWhole } from '../subscribe/cluster-subscription.ts';
import { cluster as clusterMessage, routeTo } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { ClusterDemand } from './cluster-set.ts';

let engine: TestEngine;
let wanted: string[];
const demand: ClusterDemand = {
  wantCluster: (name) => {
    wanted.push(`+cluster ${name}`);
    return true;
  },
  wantEndpoints: (name) => wanted.push(`+endpoints ${name}`),
  dropEndpoints: (name) => wanted.push(`-endpoints ${name}`),
};

beforeEach(() => {
  engine = new TestEngine();
  wanted = [];
  engine.clusters.demand = demand;
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

/** What the promise has come to by now. */
function watch(promise: Promise<boolean>): { value: boolean | undefined } {
  const seen: { value: boolean | undefined } = { value: undefined };
  void promise.then((value) => {
    seen.value = value;
  });
  return seen;
}

describe('waiting', () => {
  it('asks for what is not here, and ends when cluster and endpoints are', async () => {
    const ready = watch(engine.clusters.ready(['a', 'b'], 5_000));
    expect(wanted).toEqual(['+cluster a', '+cluster b']);
    engine.cluster('a', {});
    engine.cluster('b', { endpoints: ['x'] });
    await engine.settle();
    expect(ready.value).toBeUndefined();
    expect(wanted.at(-1)).toBe('+endpoints a');
    engine.endpoints('a', []);
    await engine.settle();
    expect(ready.value).toBe(true);
    await expect(engine.clusters.ready(['a', 'b'], 5_000)).resolves.toBe(true);
  });

  it('ends with false after its time, and leaves no timer', async () => {
    const ready = watch(engine.clusters.ready(['a'], 5_000));
    await engine.advance(4_900);
    expect(ready.value).toBeUndefined();
    await engine.advance(200);
    expect(ready.value).toBe(false);
    expect(engine.runtime.wheel.size).toBe(0);
  });

  it('ends at once when the server says that there is no such cluster, known before or not', async () => {
    const ready = watch(engine.clusters.ready(['never', 'gone'], 5_000));
    engine.cluster('gone', { endpoints: ['x'] });
    engine.clusters.remove('gone');
    await engine.settle();
    expect(ready.value).toBeUndefined();
    engine.clusters.remove('never');
    await engine.settle();
    expect(ready.value).toBe(true);
    await expect(engine.clusters.ready(['never'], 5_000)).resolves.toBe(true);
    // Until it comes all the same.
    engine.cluster('never', {});
    expect(watch(engine.clusters.ready(['never'], 5_000)).value).toBeUndefined();
  });

  it('is of no use where nobody can bring it', async () => {
    engine.clusters.demand = { ...demand, wantCluster: () => false };
    await expect(engine.clusters.ready(['a'], 5_000)).resolves.toBe(true);
  });

  it('ends when everything is closed', async () => {
    const ready = watch(engine.clusters.ready(['a'], 5_000));
    engine.clusters.close();
    await engine.settle();
    expect(ready.value).toBe(false);
  });
});

describe('a request to a cluster that is not here', () => {
  beforeEach(async () => {
    engine.upstream('x').script(200);
    await engine.listener('in', {
      routes: [{ match: { prefix: '/' }, route: { clusterHeader: 'x-cluster', timeout: '0s', clusterNotFoundResponseCode: 'NOT_FOUND' } }],
    });
  });

  it('waits for it', async () => {
    const call = engine.client('in').send({ headers: ['x-cluster', 'a'] });
    await engine.settle();
    engine.cluster('a', {});
    await engine.settle();
    expect(call.over).toBe(false);
    engine.endpoints('a', ['x']);
    await engine.until(() => call.over);
    expect(call.status).toBe(200);
  });

  it.each([
    ['is told when there is none', () => engine.clusters.remove('a'), 0],
    ['is told after five seconds', () => {}, 5_000],
  ])('%s', async (_what, act, ms) => {
    const before = engine.clock.nowMs();
    const call = engine.client('in').send({ headers: ['x-cluster', 'a'] });
    await engine.settle();
    act();
    await engine.until(() => call.over);
    expect(call.status).toBe(404);
    expect(engine.last).toMatchObject({ flags: 'NC', details: 'cluster_not_found' });
    expect(engine.clock.nowMs() - before).toBeGreaterThanOrEqual(ms);
    expect(engine.clock.nowMs() - before).toBeLessThan(ms + 50);
  });

  it('whose caller goes away waits for nothing any more', async () => {
    const call = engine.client('in', { http2: true }).send({ headers: ['x-cluster', 'a'] });
    await engine.settle();
    call.abort();
    await engine.settle();
    expect(engine.underWay()).toEqual([]);
    engine.cluster('a', { endpoints: ['x'] });
    await engine.settle();
    expect(engine.last.flags).toBe('DC');
  });
});

describe('a change', () => {
  it('of a cluster keeps the endpoints that it had, and a request under way its own', async () => {
    const x = engine.upstream('x');
    engine.cluster('c', {});
    engine.endpoints('c', ['x']);
    await engine.listener('in', { routes: [routeTo('c')] });
    const under = engine.client('in').send();
    await engine.settle();
    engine.cluster('c', { fields: { connectTimeout: '2s' } });
    expect(engine.clusters.get('c')!.warm).toBe(true);
    const after = engine.client('in').send();
    await engine.settle();
    expect(x.connections).toHaveLength(2);
    for (const received of x.requests) received.respond(200);
    await engine.settle();
    expect([under.status, after.status]).toEqual([200, 200]);
    // What belonged to the old one has been closed.
    expect(x.open).toBe(1);
  });

  it('of a cluster leaves no connection open that a last retry of the old one made', async () => {
    const x = engine.upstream('x');
    const y = engine.upstream('y').script(200);
    engine.cluster('c', { endpoints: ['x'] });
    await engine.listener('in', { routes: [routeTo('c', { retryPolicy: { retryOn: '5xx' } })] });
    const call = engine.client('in').send();
    await engine.settle();
    const old = engine.clusters.get('c')!;
    old.setEndpoints({ ...old.config.endpoints!, endpoints: engine.cluster('d', { endpoints: ['y'] }).config.endpoints!.endpoints });
    engine.cluster('c', { endpoints: ['x'] });
    x.last.respond(503);
    await engine.until(() => call.over);
    await engine.settle();
    expect([call.status, y.requests.length, y.open, old.limits.connections]).toEqual([200, 1, 0, 0]);
  });

  it('of the EDS name lets the old endpoints go', () => {
    engine.cluster('c', {});
    engine.cluster('c', { fields: { type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} }, serviceName: 'other' } } });
    expect(wanted).toEqual(['+endpoints c', '+endpoints other', '-endpoints c']);
  });

  it('lets endpoints go with the last cluster that names them', () => {
    const eds = { fields: { edsClusterConfig: { edsConfig: { ads: {} }, serviceName: 's' } } };
    engine.cluster('a', eds);
    engine.cluster('b', eds);
    wanted.length = 0;
    engine.clusters.forget('a');
    expect(wanted).toEqual([]);
    engine.clusters.remove('b');
    expect(wanted).toEqual(['-endpoints s']);
  });

  it('of endpoints to none answers 503 at once', async () => {
    engine.upstream('x').script(200);
    engine.cluster('c', {});
    engine.endpoints('c', ['x']);
    await engine.listener('in', { routes: [routeTo('c')] });
    expect((await engine.client('in').call()).status).toBe(200);
    engine.clusters.removeEndpoints('c');
    expect((await engine.client('in').call()).status).toBe(503);
    expect(engine.last.flags).toBe('UH');
  });

  it('does not touch what the bootstrap gave', () => {
    const compiled = compileWhole(clusterMessage('static', { endpoints: ['x'] }));
    if (typeof compiled === 'string') throw new Error(compiled);
    engine.clusters.addStatic(compiled.config, compiled.policies);
    engine.clusters.remove('static');
    expect(engine.clusters.get('static')).toBeDefined();
    expect(engine.clusters.isStatic('static')).toBe(true);
  });
});
