import type { JsonObject } from '@bufbuild/protobuf';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HeaderList } from '../../http/message.ts';
import { listener, routeTo, typed } from '../../testing/messages.ts';
import type { Call } from '../../testing/test-client.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { TestUpstream } from '../../testing/test-upstream.ts';

const JWT = 'envoy.extensions.filters.http.jwt_authn.v3';
const ISSUER = 'https://issuer.example';

type Key = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
let key: Key;
let foreignKey: Key;
let jwks: string;

beforeAll(async () => {
  const pair = await generateKeyPair('ES256');
  key = pair.privateKey;
  foreignKey = (await generateKeyPair('ES256')).privateKey;
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] });
});

let engine: TestEngine;
let application: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  application = engine.upstream('a').script(200);
  engine.cluster('c', { endpoints: ['a'] });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

/** Of the engine, s. */
const now = (): number => Math.floor(engine.runtime.unixMs() / 1000);

function token(claims: JWTPayload = {}, signer = key, header: { alg: string; kid?: string } = { alg: 'ES256', kid: 'one' }): Promise<string> {
  return new SignJWT({ iss: ISSUER, sub: 'ann', exp: now() + 600, ...claims }).setProtectedHeader(header).sign(signer);
}

const local = (fields: JsonObject = {}): JsonObject => ({ issuer: ISSUER, localJwks: { inlineString: jwks }, ...fields });
const everywhere = (requires: JsonObject): JsonObject => ({ rules: [{ match: { prefix: '/' }, requires }] });
const filter = (fields: JsonObject): JsonObject => ({ name: 'jwt', typedConfig: typed(`${JWT}.JwtAuthentication`, fields) });

async function listen(provider: JsonObject, fields: JsonObject = everywhere({ providerName: 'p' }), more: JsonObject[] = []): Promise<void> {
  await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ providers: { p: provider }, ...fields }), ...more] });
}

/** Signatures are checked on threads of their own. */
async function over(call: Call): Promise<Call> {
  while (!call.over) await engine.settle();
  return call;
}
const ask = (headers: HeaderList = [], path = '/'): Promise<Call> => over(engine.client('in').send({ path, headers }));
const bearer = (text: string): HeaderList => ['Authorization', `Bearer ${text}`];

it('a good token passes and goes no further; its payload may', async () => {
  await listen(
    local({
      forwardPayloadHeader: 'x-payload',
      claimToHeaders: [
        { headerName: 'x-sub', claimName: 'sub' },
        { headerName: 'x-deep', claimName: 'a.b' },
      ],
    }),
  );
  const answer = await ask([...bearer(await token({ a: { b: 7 } })), 'x-sub', 'forged', 'x-payload', 'forged']);
  expect(answer.status).toBe(200);
  expect([application.last.header('authorization'), application.last.header('x-sub'), application.last.header('x-deep')]).toEqual([undefined, 'ann', '7']);
  expect(JSON.parse(Buffer.from(application.last.header('x-payload')!, 'base64url').toString())).toMatchObject({ sub: 'ann', iss: ISSUER });
});

it('or goes on where it is told to', async () => {
  await listen(local({ forward: true }));
  const text = await token();
  await ask(bearer(text));
  expect(application.last.header('authorization')).toBe(`Bearer ${text}`);
});

it.each<[string, () => Promise<HeaderList>, number, string]>([
  ['no token', async () => [], 401, 'Jwt is missing'],
  ['what is no token', async () => bearer('nonsense'), 401, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'],
  ['a foreign signature', async () => bearer(await token({}, foreignKey)), 401, 'Jwt verification fails'],
  ['an unknown key', async () => bearer(await token({}, key, { alg: 'ES256', kid: 'two' })), 401, "Jwks doesn't have key to match kid or alg from Jwt"],
  ['another issuer', async () => bearer(await token({ iss: 'https://other.example' })), 401, 'Jwt issuer is not configured'],
  ['a token of yesterday', async () => bearer(await token({ exp: now() - 86_400 })), 401, 'Jwt is expired'],
  ['a token of tomorrow', async () => bearer(await token({ nbf: now() + 86_400 })), 401, 'Jwt not yet valid'],
  ['a token for others', async () => bearer(await token({ aud: 'them' })), 403, 'Audiences in Jwt are not allowed'],
  ['a token without a signature', async () => bearer(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await token()).split('.')[1]}.`), 401, ''],
])('%s is refused', async (_what, headers, status, words) => {
  await listen(local({ audiences: ['us'] }));
  const answer = await ask(await headers());
  expect(answer.status).toBe(status);
  if (words !== '') expect(answer.body).toBe(words);
  expect(application.requests).toHaveLength(0);
  if (status === 401) expect(answer.header('www-authenticate')).toMatch(/^Bearer realm="http:\/\/.+\/"/);
});

it('a clock may be a minute off', async () => {
  await listen(local());
  expect((await ask(bearer(await token({ exp: now() - 30 })))).status).toBe(200);
  expect((await ask(bearer(await token({ exp: now() - 90 })))).status).toBe(401);
});

it('is found where the provider says', async () => {
  await listen(local({ fromHeaders: [{ name: 'x-jwt' }], fromParams: ['t'], fromCookies: ['session'] }));
  const text = await token();
  expect((await ask(['X-Jwt', text])).status).toBe(200);
  expect((await ask([], `/?a=1&t=${text}`)).status).toBe(200);
  expect(application.last.head.path).toBe('/?a=1');
  expect((await ask(['cookie', `a=1; session=${text}`])).status).toBe(200);
  expect((await ask(bearer(text))).status).toBe(401);
  // Each that is there has to be good.
  expect((await ask(['x-jwt', text], '/?t=a.b.c')).status).toBe(401);
});

describe('requirements', () => {
  const B = 'https://b.example';
  const both = async (requires: JsonObject): Promise<void> => {
    const providers = { a: local({ fromHeaders: [{ name: 'x-a' }] }), b: local({ issuer: B, fromHeaders: [{ name: 'x-b' }] }) };
    await engine.listener('in', { routes: [routeTo('c')], filters: [filter({ providers, ...everywhere(requires) })] });
  };
  const one = { requirements: [{ providerName: 'a' }, { providerName: 'b' }] };

  it.each<[string, JsonObject, readonly number[]]>([
    // None, a, b, both, a bad one.
    ['any', { requiresAny: one }, [401, 200, 200, 200, 401]],
    ['all', { requiresAll: one }, [401, 401, 401, 200, 401]],
    ['any or none', { requiresAny: { requirements: [...one.requirements, { allowMissing: {} }] } }, [200, 200, 200, 200, 401]],
    ['whatever comes', { allowMissingOrFailed: {} }, [200, 200, 200, 200, 200]],
    ['none, or a good one', { allowMissing: {} }, [200, 200, 200, 200, 401]],
  ])('%s', async (_what, requires, expected) => {
    await both(requires);
    const a = await token();
    const b = await token({ iss: B });
    const statuses = [];
    for (const headers of [[], ['x-a', a], ['x-b', b], ['x-a', a, 'x-b', b], ['x-a', await token({}, foreignKey)]]) statuses.push((await ask(headers)).status);
    expect(statuses).toEqual(expected);
  });

  it('the first rule that matches counts, and a route may have another', async () => {
    const rules = [{ match: { prefix: '/open' } }, { match: { prefix: '/' }, requires: { providerName: 'p' } }];
    const per = (fields: JsonObject): JsonObject => ({ typedPerFilterConfig: { jwt: typed(`${JWT}.PerRouteConfig`, fields) } });
    await engine.listener('in', {
      routes: [
        { ...routeTo('c', {}, per({ disabled: true })), match: { path: '/off' } },
        { ...routeTo('c', {}, per({ requirementName: 'needed' })), match: { path: '/open/not' } },
        { ...routeTo('c', {}, per({ requirementName: 'nobody' })), match: { path: '/wrong' } },
        routeTo('c'),
      ],
      filters: [filter({ providers: { p: local() }, rules, requirementMap: { needed: { providerName: 'p' } } })],
    });
    const statuses = [];
    for (const path of ['/open', '/', '/off', '/open/not', '/wrong']) statuses.push((await ask([], path)).status);
    expect(statuses).toEqual([200, 401, 200, 401, 403]);
  });

  it('a preflight may pass', async () => {
    await listen(local(), { ...everywhere({ providerName: 'p' }), bypassCorsPreflight: true });
    const preflight = { method: 'OPTIONS', headers: ['Origin', 'https://shop', 'Access-Control-Request-Method', 'PUT'] };
    expect((await over(engine.client('in').send(preflight))).status).toBe(200);
    expect((await over(engine.client('in').send({ ...preflight, method: 'GET' }))).status).toBe(401);
  });
});

it('what it knows of the caller is there for policies', async () => {
  const rbac = {
    name: 'rbac',
    typedConfig: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
      rules: {
        action: 'ALLOW',
        policies: {
          readers: {
            permissions: [{ any: true }],
            principals: [
              {
                metadata: {
                  filter: 'envoy.filters.http.jwt_authn',
                  path: [{ key: 'payload' }, { key: 'scope' }],
                  value: { listMatch: { oneOf: { stringMatch: { exact: 'read' } } } },
                },
              },
            ],
          },
        },
      },
    }),
  };
  await listen(local({ payloadInMetadata: 'payload', normalizePayloadInMetadata: { spaceDelimitedClaims: ['scope'] } }), undefined, [rbac]);
  expect((await ask(bearer(await token({ scope: 'read write' })))).status).toBe(200);
  expect((await ask(bearer(await token({ scope: 'write' })))).status).toBe(403);
});

describe('keys of a server', () => {
  let server: TestUpstream;
  const remote = (): JsonObject => ({
    issuer: ISSUER,
    remoteJwks: { httpUri: { uri: 'https://issuer.example/keys?v=1', cluster: 'issuer', timeout: '1s' } },
  });
  beforeEach(async () => {
    server = engine.upstream('i');
    engine.cluster('issuer', { endpoints: ['i'] });
    const { remoteJwks, ...rest } = remote() as { remoteJwks: JsonObject };
    await listen({ ...rest, remoteJwks: { ...remoteJwks, cacheDuration: '300s' } });
  });

  it('are fetched once for all who wait, and again when they are old', async () => {
    const text = await token({ exp: now() + 86_400 });
    const calls = [1, 2, 3].map(() => engine.client('in').send({ headers: bearer(text) }));
    while (server.requests.length === 0) await engine.settle();
    expect([server.last.head.path, server.last.head.authority]).toEqual(['/keys?v=1', 'issuer.example']);
    server.last.respond(200, { body: jwks });
    for (const call of calls) expect((await over(call)).status).toBe(200);
    expect((await ask(bearer(text))).status).toBe(200);
    expect(server.requests).toHaveLength(1);
    await engine.advance(301_000);
    server.answer((received) => received.respond(200, { body: jwks }));
    expect((await ask(bearer(text))).status).toBe(200);
    expect(server.requests).toHaveLength(2);
  });

  it.each<[string, () => void]>([
    ['fails', () => server.last.respond(500)],
    ['talks nonsense', () => server.last.respond(200, { body: 'nonsense' })],
  ])('one that %s lets nobody in, and is asked again a second later', async (_what, act) => {
    const text = await token();
    const call = engine.client('in').send({ headers: bearer(text) });
    while (server.requests.length === 0) await engine.settle();
    act();
    expect([(await over(call)).status, call.body]).toEqual([401, 'Jwks remote fetch is failed']);
    expect((await ask(bearer(text))).status).toBe(401);
    expect(server.requests).toHaveLength(1);
    await engine.advance(1_100);
    server.answer((received) => received.respond(200, { body: jwks }));
    expect((await ask(bearer(text))).status).toBe(200);
  });
});

it.each<[string, JsonObject, string]>([
  ['a requirement of nobody', { providers: {}, ...everywhere({ providerName: 'x' }) }, 'there is no provider "x"'],
  ['keys that are no JSON', { providers: { p: { localJwks: { inlineString: '{' } } } }, 'local_jwks: is no JSON'],
  ['no keys', { providers: { p: { issuer: 'x' } } }, 'needs one of remote_jwks, local_jwks'],
])('%s is refused', (_what, fields, words) => {
  expect(engine.listeners.compile(listener('in', { routes: [routeTo('c')], filters: [filter(fields)] }))).toContain(words);
});
