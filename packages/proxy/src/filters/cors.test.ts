import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { CorsPolicySchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/cors/v3/cors';
import { describe, expect, it } from 'vitest';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { type CorsPolicy, compileCors, corsType } from './cors.ts';
import type { FilterContext, FilteredStream } from './http-filter.ts';

const CONFIG: JsonObject = {
  allowOriginStringMatch: [{ exact: 'https://a.example' }, { safeRegex: { regex: 'https://.*\\.b\\.example' } }],
  allowMethods: 'GET,POST',
  allowHeaders: 'x-a',
  exposeHeaders: 'x-b',
  maxAge: '600',
  allowCredentials: true,
};

function policy(change: JsonObject = {}): CorsPolicy {
  const report = new CompileReport();
  const compiled = compileCors(fromJson(CorsPolicySchema, { ...CONFIG, ...change }), 'cors', report);
  expect(report.errors).toEqual([]);
  return compiled;
}

function request(origin: string | undefined, method = 'GET', headers: string[] = []): RequestHead {
  return Object.assign(new RequestHead(), { method, path: '/', headers: origin === undefined ? headers : ['Origin', origin, ...headers] });
}

const PREFLIGHT = ['Access-Control-Request-Method', 'POST'];

describe('CORS', () => {
  it.each<[string, CorsPolicy, RequestHead, string]>([
    ['no origin', policy(), request(undefined), 'none'],
    ['an origin that is allowed', policy(), request('https://a.example'), 'actual'],
    ['by expression', policy(), request('https://x.b.example'), 'actual'],
    ['another origin', policy(), request('https://evil.example'), 'none'],
    ['a preflight', policy(), request('https://a.example', 'OPTIONS', PREFLIGHT), 'preflight'],
    ['OPTIONS that is no preflight', policy(), request('https://a.example', 'OPTIONS'), 'actual'],
    ['a preflight of another goes on', policy(), request('https://evil.example', 'OPTIONS', PREFLIGHT), 'none'],
    ['or does not', policy({ forwardNotMatchingPreflights: false }), request('https://evil.example', 'OPTIONS', PREFLIGHT), 'preflight-refused'],
    ['switched off', policy({ filterEnabled: { defaultValue: { numerator: 0 } } }), request('https://a.example'), 'none'],
  ])('%s', (_name, cors, head, expected) => {
    expect(cors.decide(head, 0)).toBe(expected);
  });

  it('answers a preflight', () => {
    expect(
      policy({ allowPrivateNetworkAccess: true }).preflightHeaders(
        request('https://a.example', 'OPTIONS', [...PREFLIGHT, 'access-control-request-private-network', 'true']),
      ),
    ).toEqual([
      'access-control-allow-origin',
      'https://a.example',
      'access-control-allow-credentials',
      'true',
      'access-control-allow-private-network',
      'true',
      'access-control-allow-methods',
      'GET,POST',
      'access-control-allow-headers',
      'x-a',
      'access-control-max-age',
      '600',
      'access-control-expose-headers',
      'x-b',
    ]);
  });

  it.each<[string, string[], string[]]>([
    [
      'headers and methods that are asked for',
      ['access-control-request-headers', 'x-a, x-b'],
      ['access-control-allow-methods', 'POST', 'access-control-allow-headers', 'x-a, x-b'],
    ],
    ['no header where none is asked for', [], ['access-control-allow-methods', 'POST']],
  ])('answers "*" by the %s', (_name, asked, expected) => {
    const wild = policy({ allowMethods: '*', allowHeaders: '*', exposeHeaders: '', maxAge: '', allowCredentials: false });
    expect(wild.preflightHeaders(request('https://a.example', 'OPTIONS', [...PREFLIGHT, ...asked])).slice(2)).toEqual(expected);
  });

  it.each([
    ['forward', 'answer'],
    ['direct-response', 'pass'],
    ['redirect', 'pass'],
  ] as const)('a preflight for a route of kind %s: %s', (kind, expected) => {
    const filter = corsType.compile(undefined, 'cors', '', {} as FilterContext, new CompileReport())!.forRoute!([policy()]);
    const stream = (head: RequestHead) => ({ head, route: { kind }, dice: 0 }) as unknown as FilteredStream;
    expect(filter.onRequest!(stream(request('https://a.example', 'OPTIONS', PREFLIGHT))).kind).toBe(expected);
    const response = Object.assign(new ResponseHead(), { status: 200 });
    filter.onResponse!(stream(request('https://a.example')), response, true);
    expect(response.headers.includes('access-control-allow-origin')).toBe(kind === 'forward');
  });

  it('tells an origin that is not allowed all but that it is', () => {
    const told = policy().preflightHeaders(request('https://evil.example', 'OPTIONS', PREFLIGHT), false);
    expect(told.filter((_text, index) => index % 2 === 0)).toEqual([
      'access-control-allow-credentials',
      'access-control-allow-methods',
      'access-control-allow-headers',
      'access-control-max-age',
    ]);
  });

  it("puts its own word in the place of the application's", () => {
    const headers = ['Access-Control-Allow-Origin', '*', 'access-control-allow-credentials', 'true'];
    policy({ allowCredentials: false }).applyToResponse(request('https://a.example'), headers);
    expect(headers).toEqual(['Access-Control-Allow-Origin', 'https://a.example', 'access-control-expose-headers', 'x-b']);
  });
});
