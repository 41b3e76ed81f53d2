import { create } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { FastRandom } from '@outrigger/telemetry';
import { RouteAction_HashPolicySchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { LbContext } from '../lb/context.ts';
import { CompileReport } from './compile-result.ts';
import { compileHashPolicies, cookieValue } from './hash-policy.ts';

type Init = NonNullable<Parameters<typeof create<typeof RouteAction_HashPolicySchema>>[1]>;

function hash(policies: readonly Init[], headers: string[], path = '/', ip = '10.0.0.1'): LbContext {
  const report = new CompileReport();
  const compiled = compileHashPolicies(
    policies.map((policy) => create(RouteAction_HashPolicySchema, policy)),
    'hash_policy',
    report,
  );
  expect(report.errors).toEqual([]);
  const head = new RequestHead();
  head.headers = headers;
  head.path = path;
  const context = new LbContext();
  compiled.apply(head, ip, new FastRandom([1, 2, 3, 4]), context);
  return context;
}

const key = (context: LbContext): string => (context.hasHash ? `${context.hashHigh}:${context.hashLow}` : 'none');
const header: Init = { policySpecifier: { case: 'header', value: { headerName: 'X-User' } } };
const source: Init = { policySpecifier: { case: 'connectionProperties', value: { sourceIp: true } } };
const cookie = (ttlSeconds?: bigint): Init => ({
  policySpecifier: {
    case: 'cookie',
    value: ttlSeconds === undefined ? { name: 'sid', path: '/p' } : { name: 'sid', path: '/p', ttl: create(DurationSchema, { seconds: ttlSeconds }) },
  },
});

describe('hash policy', () => {
  it('is XXH64 of the header, as in Envoy', () => {
    const context = hash([header], ['x-user', 'foo']);
    expect([context.hashHigh, context.hashLow]).toEqual([0x33bf00a8, 0x59c4ba3f]);
  });

  it('does not look at the order of a repeated header', () => {
    expect(key(hash([header], ['x-user', 'a', 'x-user', 'b']))).toBe(key(hash([header], ['x-user', 'b', 'x-user', 'a'])));
  });

  it('gives none where nothing is there', () => {
    expect(key(hash([header], []))).toBe('none');
  });

  it('joins policies, and two equal ones do not cancel', () => {
    const one = key(hash([header], ['x-user', 'a']));
    const both = key(hash([header, source], ['x-user', 'a']));
    expect(both).not.toBe(one);
    expect(key(hash([header, header], ['x-user', 'a']))).not.toBe('0:0');
  });

  it('stops at a terminal policy that gave a hash, and only then', () => {
    const terminal: Init = { ...header, terminal: true };
    expect(key(hash([terminal, source], ['x-user', 'a']))).toBe(key(hash([header], ['x-user', 'a'])));
    expect(key(hash([terminal, source], []))).toBe(key(hash([source], [])));
  });

  it('reads a query parameter', () => {
    const query: Init = { policySpecifier: { case: 'queryParameter', value: { name: 'u' } } };
    expect(key(hash([query], [], '/?u=foo'))).toBe(key(hash([header], ['x-user', 'foo'])));
  });

  it('makes a cookie only where it has a ttl and none came', () => {
    const made = hash([cookie(60n)], []);
    expect(made.setCookie).toMatch(/^sid="[0-9a-f]{16}"; Max-Age=60; Path=\/p; HttpOnly$/);
    const value = /"(.*)"/.exec(made.setCookie)![1]!;
    const came = hash([cookie(60n)], ['cookie', `a=b; sid=${value}`]);
    expect(came.setCookie).toBe('');
    expect(key(came)).toBe(key(made));
    expect(hash([cookie(0n)], []).setCookie).not.toContain('Max-Age');
    expect(key(hash([cookie()], []))).toBe('none');
  });

  it('finds a cookie among several headers, with quotes or without', () => {
    expect(cookieValue(['Cookie', 'a=1', 'cookie', 'xsid=3; sid="2"'], 'sid')).toBe('2');
  });
});
