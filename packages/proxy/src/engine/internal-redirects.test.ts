import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import type { Asked, Call } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

let engine: TestEngine;
let a: TestUpstream;
let b: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a');
  b = engine.upstream('b');
  engine.cluster('a', { endpoints: ['a'] });
  engine.cluster('b', { endpoints: ['b'] });
  b.answer((received) => received.respond(200, { body: 'there' }));
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const predicate = (name: string, type: string, fields: JsonObject = {}): JsonObject => ({
  name: `envoy.internal_redirect_predicates.${name}`,
  typedConfig: typed(`envoy.extensions.internal_redirect.${name}.v3.${type}`, fields),
});

async function start(policy: JsonObject, more: JsonObject = {}): Promise<void> {
  await engine.listener('in', {
    routes: [
      { name: 'there', match: { prefix: '/there' }, route: { cluster: 'b', timeout: '0s' } },
      routeTo('a', { internalRedirectPolicy: policy, ...more }, { name: 'here' }),
    ],
  });
}

function call(asked: Asked = {}): Promise<Call> {
  return engine.client('in').call(asked);
}

function sendsTo(location: string, status = 302): void {
  a.answer((received) => received.respond(status, { headers: ['location', location] }));
}

describe('a redirect of the upstream', () => {
  it('is followed to where it leads, and the request says where it came from', async () => {
    await start({});
    sendsTo('http://other/there?x=1#top');
    const answer = await call({ path: '/here' });
    expect([answer.status, answer.body]).toEqual([200, 'there']);
    expect(b.last.head).toMatchObject({ authority: 'other', path: '/there?x=1' });
    expect(b.last.header('x-envoy-original-url')).toBe('http://service/here');
    expect(engine.records).toHaveLength(1);
    expect(engine.last).toMatchObject({ code: 200, attempts: 1 });
  });

  it('takes the content along, and its trailers', async () => {
    const upstream = engine.upstream('h2', { http2: true });
    engine.cluster('a', { endpoints: ['h2'], http2: true });
    const other = engine.upstream('h2b', { http2: true });
    engine.cluster('b', { endpoints: ['h2b'], http2: true });
    await start({ redirectResponseCodes: [307] });
    upstream.answer((received) => received.respond(307, { headers: ['location', 'http://other/there'] }));
    other.answer((received) => received.respond(200));
    const put = engine.client('in', { http2: true }).send({ method: 'PUT', body: 'one ', open: true });
    await engine.settle();
    put.write('two');
    put.finish(['checksum', '42']);
    await engine.until(() => put.over);
    expect(put.status).toBe(200);
    expect(other.last).toMatchObject({ body: 'one two', trailers: ['checksum', '42'] });
    expect(other.last.head.method).toBe('PUT');
  });

  it('of 303 becomes a GET without content', async () => {
    await start({ redirectResponseCodes: [303] });
    sendsTo('http://other/there', 303);
    expect((await call({ body: 'pay' })).status).toBe(200);
    expect(b.last.head.method).toBe('GET');
    expect([b.last.body, b.last.header('content-length')]).toEqual(['', undefined]);
  });

  it.each([
    ['a code that is not asked for', {}, 301, 'http://other/there'],
    ['no absolute URL', {}, 302, '/there'],
    ['another scheme', {}, 302, 'https://other/there'],
    [
      'plain text to TLS, where only the safe way is open',
      { allowCrossSchemeRedirect: true, predicates: [predicate('safe_cross_scheme', 'SafeCrossSchemeConfig')] },
      302,
      'https://other/there',
    ],
    [
      'a route that is not listed',
      { predicates: [predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowedRouteNames: ['x'] })] },
      302,
      'http://other/there',
    ],
    ['redirects that are not allowed at all', { maxInternalRedirects: 0 }, 302, 'http://other/there'],
  ] as const)('is passed on for %s', async (_what, policy, status, location) => {
    await start(policy as unknown as JsonObject);
    sendsTo(location, status);
    expect((await call()).status).toBe(status);
    expect(b.requests).toHaveLength(0);
  });

  it('is followed where the predicates accept it', async () => {
    await start({
      allowCrossSchemeRedirect: true,
      predicates: [predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowedRouteNames: ['there'] })],
    });
    sendsTo('https://other/there');
    expect((await call()).status).toBe(200);
  });

  it('is followed as often as the policy says, and then passed on', async () => {
    await start({ maxInternalRedirects: 2 });
    sendsTo('http://other/again');
    expect((await call()).status).toBe(302);
    expect(a.requests).toHaveLength(3);
  });

  it('leads to no route twice, where the policy says so', async () => {
    await start({ maxInternalRedirects: 5, predicates: [predicate('previous_routes', 'PreviousRoutesConfig')] });
    sendsTo('http://other/again');
    expect((await call()).status).toBe(302);
    expect(a.requests).toHaveLength(2);
  });

  it('carries headers of the answer along', async () => {
    await start({ responseHeadersToCopy: ['X-Token', 'X-Gone'] });
    a.answer((received) => received.respond(302, { headers: ['location', 'http://other/there', 'x-token', 't'] }));
    await call({ headers: ['x-gone', 'yes'] });
    expect([b.last.header('x-token'), b.last.header('x-gone')]).toEqual(['t', undefined]);
  });

  it('while the request is still coming is passed on', async () => {
    await start({});
    a.onRequest = (received) => received.respond(302, { headers: ['location', 'http://other/there'] });
    const slow = engine.client('in').send({ open: true, body: 'x' });
    await engine.until(() => slow.status !== 0);
    expect(slow.status).toBe(302);
    slow.abort();
  });
});
