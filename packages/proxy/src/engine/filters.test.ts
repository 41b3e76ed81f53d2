import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo, typed } from '../testing/messages.ts';
import { TestEngine } from '../testing/test-engine.ts';
import type { TestUpstream } from '../testing/test-upstream.ts';

const HTTP = 'envoy.extensions.filters.http';

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

function rbac(name: string, action: 'ALLOW' | 'DENY', ...permissions: JsonObject[]): JsonObject {
  return { name, typedConfig: typed(`${HTTP}.rbac.v3.RBAC`, { rules: rules(action, ...permissions) }) };
}

function rules(action: 'ALLOW' | 'DENY', ...permissions: JsonObject[]): JsonObject {
  return { action, policies: Object.fromEntries(permissions.map((permission, i) => [`p${i}`, { permissions: [permission], principals: [{ any: true }] }])) };
}

const path = (exact: string): JsonObject => ({ urlPath: { path: { exact } } });
const header = (name: string, exact: string): JsonObject => ({ header: { name, stringMatch: { exact } } });

describe('RBAC', () => {
  it('DENY and ALLOW stand one behind the other: what is denied stays denied', async () => {
    await engine.listener('in', {
      routes: [routeTo('c')],
      filters: [rbac('deny', 'DENY', path('/secret')), rbac('allow', 'ALLOW', path('/open'), path('/secret'))],
    });
    const answers = await Promise.all(['/open', '/secret', '/other'].map((one) => engine.client('in').call({ path: one })));
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 403]);
    expect(answers[1]!.body).toBe('RBAC: access denied');
    expect(answers[1]!.header('proxy-status')).toMatch(/^test; error=http_request_denied; details="rbac_access_denied_matched_policy\[p0\]"$/);
    expect(answers[2]!.header('proxy-status')).toContain('rbac_access_denied_matched_policy[none]');
    expect(a.requests).toHaveLength(1);
  });

  it('is held against the normalized path: no detour leads around it', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [rbac('deny', 'DENY', path('/secret'))], manager: { normalizePath: true } });
    for (const detour of ['/open/../secret', '/./secret', '/%73ecret', '/open\\..\\secret', '/secret?x=1'])
      expect([detour, (await engine.client('in').call({ path: detour })).status]).toEqual([detour, 403]);
  });

  it('holds also where no route does', async () => {
    await engine.listener('in', { routes: [{ match: { path: '/only' }, route: { cluster: 'c' } }], filters: [rbac('deny', 'DENY', path('/secret'))] });
    expect((await engine.client('in').call({ path: '/secret' })).status).toBe(403);
    expect((await engine.client('in').call({ path: '/nowhere' })).status).toBe(404);
  });

  it("takes a route's own policy in the place of the filter of that name alone", async () => {
    const open = { allow: typed(`${HTTP}.rbac.v3.RBACPerRoute`) };
    await engine.listener('in', {
      routes: [routeTo('c', {}, { typedPerFilterConfig: open })],
      filters: [rbac('deny', 'DENY', path('/secret')), rbac('allow', 'ALLOW', path('/open'))],
    });
    expect((await engine.client('in').call({ path: '/other' })).status).toBe(200);
    expect((await engine.client('in').call({ path: '/secret' })).status).toBe(403);
  });

  it('takes the most specific of several levels', async () => {
    const per = (...permissions: JsonObject[]): JsonObject => ({
      allow: typed(`${HTTP}.rbac.v3.RBACPerRoute`, { rbac: { rules: rules('ALLOW', ...permissions) } }),
    });
    await engine.listener('in', {
      routes: [{ ...routeTo('c'), match: { path: '/a' }, typedPerFilterConfig: per(path('/a')) }, routeTo('c')],
      virtualHost: { typedPerFilterConfig: per(path('/b')) },
      filters: [rbac('allow', 'ALLOW', path('/c'))],
    });
    const statuses = [];
    for (const one of ['/a', '/b', '/c']) statuses.push((await engine.client('in').call({ path: one })).status);
    expect(statuses).toEqual([200, 200, 403]);
  });

  it('may be switched off by name for a route', async () => {
    const off = { deny: typed('envoy.config.route.v3.FilterConfig', { disabled: true }) };
    await engine.listener('in', {
      routes: [routeTo('c', {}, { typedPerFilterConfig: off })],
      filters: [rbac('deny', 'DENY', path('/secret')), rbac('other', 'DENY', path('/other'))],
    });
    expect((await engine.client('in').call({ path: '/secret' })).status).toBe(200);
    expect((await engine.client('in').call({ path: '/other' })).status).toBe(403);
  });

  it('behind a header mutation it sees what that made of the request', async () => {
    const mutation = {
      name: 'm',
      typedConfig: typed(`${HTTP}.header_mutation.v3.HeaderMutation`, {
        mutations: { requestMutations: [{ append: { header: { key: 'x', value: '1' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' } }] },
      }),
    };
    await engine.listener('in', { routes: [routeTo('c')], filters: [mutation, rbac('deny', 'DENY', header('x', '1'))] });
    expect((await engine.client('in').call({ headers: ['x', '2'] })).status).toBe(403);
    await engine.listener('before', { routes: [routeTo('c')], filters: [rbac('deny', 'DENY', header('x', '1')), mutation] });
    expect((await engine.client('before').call({ headers: ['x', '2'] })).status).toBe(200);
  });
});

describe('CORS', () => {
  const CORS = { name: 'cors', typedConfig: typed(`${HTTP}.cors.v3.Cors`) };
  const POLICY = {
    cors: typed(`${HTTP}.cors.v3.CorsPolicy`, { allowOriginStringMatch: [{ exact: 'https://shop' }], allowMethods: 'GET,PUT', exposeHeaders: 'x-total' }),
  };
  const PREFLIGHT = { method: 'OPTIONS', headers: ['Origin', 'https://shop', 'Access-Control-Request-Method', 'PUT'] };

  it('answers a preflight itself, and adds to the answer of an actual request', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, { typedPerFilterConfig: POLICY })], filters: [CORS] });
    const preflight = await engine.client('in').call(PREFLIGHT);
    expect([preflight.status, preflight.header('access-control-allow-origin'), preflight.header('access-control-allow-methods')]).toEqual([
      200,
      'https://shop',
      'GET,PUT',
    ]);
    expect(a.requests).toHaveLength(0);
    const actual = await engine.client('in').call({ headers: ['Origin', 'https://shop'] });
    expect([actual.header('access-control-allow-origin'), actual.header('access-control-expose-headers')]).toEqual(['https://shop', 'x-total']);
    const foreign = await engine.client('in').call({ headers: ['Origin', 'https://evil'] });
    expect(foreign.header('access-control-allow-origin')).toBeUndefined();
  });

  it('does nothing where the filter is not there, or is switched off', async () => {
    const off = { cors: typed('envoy.config.route.v3.FilterConfig', { disabled: true }) };
    await engine.listener('none', { routes: [routeTo('c', {}, { typedPerFilterConfig: POLICY })] });
    await engine.listener('off', { routes: [routeTo('c', {}, { typedPerFilterConfig: off })], virtualHost: { typedPerFilterConfig: POLICY }, filters: [CORS] });
    for (const name of ['none', 'off']) {
      await engine.client(name).call(PREFLIGHT);
      expect(a.last.head.method).toBe('OPTIONS');
    }
  });

  it('behind RBAC a preflight opens no door', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, { typedPerFilterConfig: POLICY })], filters: [rbac('deny', 'DENY', path('/')), CORS] });
    expect((await engine.client('in').call(PREFLIGHT)).status).toBe(403);
  });
});

describe('fault', () => {
  const FAULT = { name: 'fault', typedConfig: typed(`${HTTP}.fault.v3.HTTPFault`) };
  const on = (fields: JsonObject): JsonObject => ({ typedPerFilterConfig: { fault: typed(`${HTTP}.fault.v3.HTTPFault`, fields) } });
  const ALWAYS = { numerator: 100 };

  it('holds a request back for its delay, content and all, and then lets it pass', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, on({ delay: { fixedDelay: '2s', percentage: ALWAYS } }))], filters: [FAULT] });
    const call = engine.client('in').send({ body: 'content' });
    await engine.advance(1_900);
    expect(a.requests).toHaveLength(0);
    await engine.advance(200);
    expect([call.status, a.last.body]).toEqual([200, 'content']);
    expect(engine.last.flags).toBe('DI');
  });

  it('answers in place of the application, signed', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, on({ abort: { httpStatus: 418, percentage: ALWAYS } }))], filters: [FAULT] });
    const answer = await engine.client('in').call();
    expect([answer.status, answer.body]).toEqual([418, 'fault filter abort']);
    expect(answer.header('proxy-status')).toContain('fault_filter_abort; FI');
    expect(a.requests).toHaveLength(0);
  });

  it('delays and then aborts, where both are asked for', async () => {
    await engine.listener('in', {
      routes: [routeTo('c', {}, on({ delay: { fixedDelay: '1s', percentage: ALWAYS }, abort: { httpStatus: 503, percentage: ALWAYS } }))],
      filters: [FAULT],
    });
    expect((await engine.client('in').call()).status).toBe(503);
    expect(engine.last).toMatchObject({ flags: 'DI,FI' });
    expect(engine.last.durationMs).toBeGreaterThanOrEqual(1_000);
  });

  it('a delay ends with its caller', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, on({ delay: { fixedDelay: '2s', percentage: ALWAYS } }))], filters: [FAULT] });
    const call = engine.client('in', { http2: true }).send();
    await engine.settle();
    call.abort();
    await engine.advance(5_000);
    expect(a.requests).toHaveLength(0);
    expect(engine.last.flags).toBe('DI,DC');
  });

  it('hits about the share that is asked for', async () => {
    await engine.listener('in', { routes: [routeTo('c', {}, on({ abort: { httpStatus: 500, percentage: { numerator: 30 } } }))], filters: [FAULT] });
    const calls = await Promise.all(Array.from({ length: 500 }, () => engine.client('in').call()));
    const share = calls.filter(({ status }) => status === 500).length / calls.length;
    expect(share).toBeGreaterThan(0.2);
    expect(share).toBeLessThan(0.4);
  });
});

describe('header mutation', () => {
  const append = (key: string, value: string): JsonObject => ({ append: { header: { key, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' } });
  const MUTATION = {
    name: 'm',
    typedConfig: typed(`${HTTP}.header_mutation.v3.HeaderMutation`, {
      mutations: { requestMutations: [append('x-filter', 'a'), { remove: 'x-gone' }], responseMutations: [append('x-back', 'a')] },
    }),
  };
  const per = (value: string): JsonObject => ({
    m: typed(`${HTTP}.header_mutation.v3.HeaderMutationPerRoute`, {
      mutations: { requestMutations: [append('x-filter', value)], responseMutations: [append('x-back', value)] },
    }),
  });

  it('changes both heads, the route after the filter', async () => {
    await engine.listener('in', {
      routes: [{ ...routeTo('c'), match: { path: '/own' }, typedPerFilterConfig: per('route') }, routeTo('c')],
      filters: [MUTATION],
    });
    const plain = await engine.client('in').call({ headers: ['x-gone', '1'] });
    expect([a.last.header('x-filter'), a.last.header('x-gone'), plain.header('x-back')]).toEqual(['a', undefined, 'a']);
    const own = await engine.client('in').call({ path: '/own' });
    expect([a.last.header('x-filter'), own.header('x-back')]).toEqual(['route', 'route']);
  });

  it('may be switched off for a route, and does nothing where the filter is not there', async () => {
    const off = { m: typed('envoy.config.route.v3.FilterConfig', { disabled: true }) };
    await engine.listener('off', { routes: [routeTo('c', {}, { typedPerFilterConfig: off })], filters: [MUTATION] });
    await engine.listener('none', { routes: [routeTo('c', {}, { typedPerFilterConfig: per('route') })] });
    for (const name of ['off', 'none']) {
      const answer = await engine.client(name).call();
      expect([a.last.header('x-filter'), answer.header('x-back')]).toEqual([undefined, undefined]);
    }
  });
});

describe('the chain', () => {
  const FAULT = (name: string, status: number): JsonObject => ({
    name,
    typedConfig: typed(`${HTTP}.fault.v3.HTTPFault`, { abort: { httpStatus: status, percentage: { numerator: 100 } } }),
  });

  it('runs in its order, two of a kind too', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [FAULT('one', 501), FAULT('two', 502)] });
    expect((await engine.client('in').call()).status).toBe(501);
    await engine.listener('other', { routes: [routeTo('c')], filters: [FAULT('two', 502), rbac('deny', 'DENY', path('/'))] });
    expect((await engine.client('other').call()).status).toBe(502);
  });

  it('leaves out what is switched off until a route names it', async () => {
    const on = {
      one: typed('envoy.config.route.v3.FilterConfig', {
        config: typed(`${HTTP}.fault.v3.HTTPFault`, { abort: { httpStatus: 503, percentage: { numerator: 100 } } }),
      }),
    };
    const named = { one: typed('envoy.config.route.v3.FilterConfig', {}) };
    await engine.listener('in', {
      routes: [
        { ...routeTo('c', {}, { typedPerFilterConfig: on }), match: { path: '/own' } },
        { ...routeTo('c', {}, { typedPerFilterConfig: named }), match: { path: '/named' } },
        routeTo('c'),
      ],
      filters: [{ ...FAULT('one', 501), disabled: true }],
    });
    const statuses = [];
    for (const one of ['/own', '/named', '/']) statuses.push((await engine.client('in').call({ path: one })).status);
    expect(statuses).toEqual([503, 501, 200]);
  });

  it('serves routes that two listeners share, each with its own filters', async () => {
    await engine.listener('plain', { routes: [routeTo('c')] });
    await engine.listener('in', { routes: [routeTo('c')], filters: [FAULT('one', 501)] });
    expect([(await engine.client('plain').call()).status, (await engine.client('in').call()).status]).toEqual([200, 501]);
  });
});
