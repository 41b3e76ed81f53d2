import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routeTo } from '../testing/messages.ts';
import type { Asked, Call } from '../testing/test-client.ts';
import { TestEngine } from '../testing/test-engine.ts';

let engine: TestEngine;

beforeEach(() => {
  engine = new TestEngine();
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const statusIs = (op: string, value: number): JsonObject => ({ statusCodeFilter: { comparison: { op, value: { defaultValue: value, runtimeKey: 'x' } } } });

/** One route each: none, an answer of the route, a cluster without endpoints, a redirect. */
async function start(localReplyConfig: JsonObject): Promise<void> {
  engine.cluster('empty', { endpoints: [] });
  await engine.listener('in', {
    routes: [
      { match: { prefix: '/direct' }, directResponse: { status: 418, body: { inlineString: 'tea' } } },
      { match: { prefix: '/moved' }, redirect: { pathRedirect: '/new' } },
      routeTo('empty', {}, { match: { prefix: '/empty' } }),
    ],
    manager: { localReplyConfig },
  });
}

function call(path: string, asked: Asked = {}): Promise<Call> {
  return engine.client('in').call({ path, ...asked });
}

describe('a local reply', () => {
  it('is written as the format says, whoever made it', async () => {
    await start({ bodyFormat: { textFormat: '%RESPONSE_CODE% %RESPONSE_FLAGS%: %LOCAL_REPLY_BODY%' } });
    expect((await call('/empty')).body).toBe('503 UH: no healthy upstream');
    const tea = await call('/direct');
    expect([tea.status, tea.body, tea.header('content-type')]).toEqual([418, '418 -: tea', 'text/plain']);
    expect((await call('/nowhere')).body).toBe('404 NR: ');
    const moved = await call('/moved');
    expect([moved.status, moved.header('location')]).toEqual([301, 'http://service/new']);
  });

  it('is JSON, with its type, where that is asked for', async () => {
    await start({ bodyFormat: { jsonFormat: { code: '%RESPONSE_CODE%', said: '%LOCAL_REPLY_BODY%', path: '%REQ(:path)%' } } });
    const answer = await call('/empty');
    expect(JSON.parse(answer.body)).toEqual({ code: 503, said: 'no healthy upstream', path: '/empty' });
    expect(answer.header('content-type')).toBe('application/json');
    expect(Number(answer.header('content-length'))).toBe(answer.body.length);
  });

  it('gets status, body and headers of the first mapper whose filter holds', async () => {
    await start({
      mappers: [
        {
          filter: { andFilter: { filters: [statusIs('GE', 500), { headerFilter: { header: { name: 'x-ask', stringMatch: { exact: 'yes' } } } }] } },
          statusCode: 599,
          body: { inlineString: 'asked' },
          bodyFormatOverride: { textFormat: '<%LOCAL_REPLY_BODY%>', contentType: 'text/html' },
          headersToAdd: [{ header: { key: 'x-code', value: '%RESPONSE_CODE%' } }],
        },
        { filter: { responseFlagFilter: { flags: ['UH'] } }, statusCode: 502 },
      ],
    });
    const asked = await call('/empty', { headers: ['x-ask', 'yes'] });
    expect([asked.status, asked.body, asked.header('content-type'), asked.header('x-code')]).toEqual([599, '<asked>', 'text/html', '503']);
    expect(engine.last).toMatchObject({ code: 599, flags: 'UH' });
    const other = await call('/empty');
    expect([other.status, other.body]).toEqual([502, 'no healthy upstream']);
    expect((await call('/direct')).status).toBe(418);
  });

  it('of a gRPC call says in grpc-message what the format made of it, with the status that the mapped one stands for', async () => {
    await start({
      mappers: [{ filter: { orFilter: { filters: [statusIs('EQ', 503), statusIs('EQ', 500)] } }, statusCode: 401 }],
      bodyFormat: { textFormat: 'sorry: %LOCAL_REPLY_BODY%' },
    });
    const answer = await call('/empty', { headers: ['content-type', 'application/grpc'] });
    expect([answer.status, answer.header('grpc-status'), answer.header('grpc-message')]).toEqual([200, '16', 'sorry: no healthy upstream']);
  });

  it('is signed still', async () => {
    await start({ mappers: [{ filter: statusIs('EQ', 503), statusCode: 500 }] });
    expect((await call('/empty')).header('proxy-status')).toContain('no_healthy_upstream');
  });

  it.each([
    ['a mapper without a filter', { mappers: [{ statusCode: 500 }] }, 'filter'],
    ['a flag that is none', { mappers: [{ filter: { responseFlagFilter: { flags: ['XX'] } } }] }, 'XX'],
    ['a status that is none', { mappers: [{ filter: statusIs('EQ', 1), statusCode: 42 }] }, 'status_code'],
  ])('of %s is refused', async (_what, config, words) => {
    await expect(start(config as JsonObject)).rejects.toThrow(words);
  });
});
