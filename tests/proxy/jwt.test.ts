import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo, typed } from '../../packages/proxy/src/testing/messages.ts';
import { DataPlane, planes } from './data-plane.ts';
import { raw } from './raw-request.ts';

const ISSUER = 'https://issuer.example';
const HTTP = 'envoy.extensions.filters.http';

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.each(planes)('tokens before %s', (plane) => {
  let proxy: DataPlane;
  const seen: Record<string, string | string[] | undefined>[] = [];
  let fetched = 0;
  let jwks = '';
  let sign: (claims?: JWTPayload, foreign?: boolean) => Promise<string>;
  const application = createServer((request, response) => {
    seen.push({ ...request.headers, path: request.url });
    response.end('ok');
  });
  const keys = createServer((_request, response) => {
    fetched++;
    response.end(jwks);
  });

  beforeAll(async () => {
    const own = await generateKeyPair('RS256');
    const foreign = await generateKeyPair('RS256');
    jwks = JSON.stringify({ keys: [{ ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] });
    sign = (claims = {}, isForeign = false) =>
      new SignJWT({ iss: ISSUER, sub: 'ann', aud: 'us', exp: Math.floor(Date.now() / 1000) + 600, ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .sign(isForeign ? foreign.privateKey : own.privateKey);
    const shop = await listening(application);
    const issuer = await listening(keys);
    const provider = (fields: JsonObject): JsonObject => ({ issuer: ISSUER, audiences: ['us'], localJwks: { inlineString: jwks }, ...fields });
    const jwt = (providers: Record<string, JsonObject>, requires: JsonObject): JsonObject => ({
      name: 'envoy.filters.http.jwt_authn',
      typedConfig: typed(`${HTTP}.jwt_authn.v3.JwtAuthentication`, {
        providers,
        rules: [{ match: { prefix: '/open' } }, { match: { prefix: '/' }, requires }],
      }),
    });
    const readers = {
      name: 'envoy.filters.http.rbac',
      typedConfig: typed(`${HTTP}.rbac.v3.RBAC`, {
        rules: {
          action: 'ALLOW',
          policies: {
            readers: {
              permissions: [{ any: true }],
              principals: [
                {
                  metadata: {
                    filter: 'envoy.filters.http.jwt_authn',
                    path: [{ key: 'payload' }, { key: 'role' }],
                    value: { stringMatch: { exact: 'reader' } },
                  },
                },
              ],
            },
          },
        },
      }),
    };
    const listener = (name: string, filters: readonly JsonObject[]): JsonObject => listenerJson(name, { routes: [routeTo('shop')], filters });
    proxy = await DataPlane.start(plane, {
      listeners: {
        local: listener('local', [
          jwt({ p: provider({ forwardPayloadHeader: 'x-payload', claimToHeaders: [{ headerName: 'x-sub', claimName: 'sub' }] }) }, { providerName: 'p' }),
        ]),
        remote: listener('remote', [
          jwt(
            { p: { issuer: ISSUER, remoteJwks: { httpUri: { uri: `http://${issuer}/keys`, cluster: 'issuer', timeout: '2s' }, cacheDuration: '300s' } } },
            { providerName: 'p' },
          ),
        ]),
        missing: listener('missing', [jwt({ p: provider({}) }, { requiresAny: { requirements: [{ providerName: 'p' }, { allowMissing: {} }] } })]),
        policy: listener('policy', [jwt({ p: provider({ payloadInMetadata: 'payload' }) }, { providerName: 'p' }), readers]),
      },
      clusters: { shop: clusterJson('shop', { endpoints: [shop] }), issuer: clusterJson('issuer', { endpoints: [issuer] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    for (const server of [application, keys]) {
      server.closeAllConnections();
      server.close();
    }
  });

  const ask = (listener: string, token?: string, path = '/') =>
    raw(proxy.port(listener), { path, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

  test('a good one passes, and the application sees what it says', async () => {
    const answer = await ask('local', await sign());
    expect(answer.status).toBe(200);
    expect(seen.at(-1)).toMatchObject({ 'x-sub': 'ann', 'x-payload': expect.stringMatching(/^[\w-]+$/) });
    expect(seen.at(-1)!['authorization']).toBeUndefined();
    expect((await ask('local', undefined, `/a?access_token=${await sign()}`)).status).toBe(200);
  });

  test('others are refused, in the same words', async () => {
    const answers = [];
    for (const token of [undefined, 'a.b', await sign({}, true), await sign({ exp: 1 }), await sign({ iss: 'https://other' }), await sign({ aud: 'them' })]) {
      const { status, body, headers } = await ask('local', token);
      answers.push([status, body.toString(), /error="invalid_token"/.test(String(headers['www-authenticate']))]);
    }
    expect(answers).toEqual([
      [401, 'Jwt is missing', false],
      [401, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections', true],
      [401, 'Jwt verification fails', true],
      [401, 'Jwt is expired', true],
      [401, 'Jwt issuer is not configured', true],
      [403, 'Audiences in Jwt are not allowed', true],
    ]);
    expect((await ask('local', undefined, '/open')).status).toBe(200);
  });

  test('keys of a server are fetched once', async () => {
    for (let i = 0; i < 3; i++) expect((await ask('remote', await sign())).status).toBe(200);
    expect((await ask('remote', await sign({}, true))).status).toBe(401);
    expect(fetched).toBe(1);
  });

  test('none may be as good as a good one', async () => {
    const statuses = [];
    for (const token of [undefined, await sign(), await sign({}, true)]) statuses.push((await ask('missing', token)).status);
    expect(statuses).toEqual([200, 200, 401]);
  });

  test('policies go by what it says', async () => {
    const statuses = [];
    for (const role of ['reader', 'writer']) statuses.push((await ask('policy', await sign({ role }))).status);
    expect(statuses).toEqual([200, 403]);
  });
});
