import { describe, expect, test } from 'vitest';
import type { Json } from '../json.ts';
import type { AuthorizationPolicySpec, PeerAuthenticationSpec } from '../kinds/security.ts';
import { changed } from '../testing/changed.ts';
import { authorizationPolicyErrors } from './authorization-policy.ts';
import { peerAuthenticationErrors } from './peer-authentication.ts';

test.each<[PeerAuthenticationSpec, string[]]>([
  [{ mtls: { mode: 'STRICT' } }, []],
  [{ selector: { matchLabels: { app: 'a' } }, portLevelMtls: { '80': { mode: 'DISABLE' } } }, []],
  [{ portLevelMtls: { '80': {} } }, ['spec.portLevelMtls']],
  [{ selector: { matchLabels: {} }, portLevelMtls: { '80': {} } }, ['spec.portLevelMtls']],
  [{ selector: { matchLabels: { app: 'a' } }, portLevelMtls: { '0': {} } }, ['spec.portLevelMtls']],
  [{ selector: { matchLabels: { app: 'a' } }, portLevelMtls: { '65536': {} } }, ['spec.portLevelMtls']],
  [{ selector: { matchLabels: { app: 'a' } }, portLevelMtls: {} }, ['spec.portLevelMtls']],
  [{ selector: { matchLabels: { app: 'a*' } } }, ['spec.selector.matchLabels']],
])('PeerAuthentication %j', (spec, fields) => {
  expect(peerAuthenticationErrors(spec).map(({ field }) => field)).toEqual(fields);
});

const fields = (spec: AuthorizationPolicySpec, annotations: Readonly<Record<string, string>> = {}): string[] => {
  const metadata = { name: 'a', namespace: 'ns', labels: {}, annotations, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 };
  return authorizationPolicyErrors({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec }).map(({ field }) => field);
};

const whole: AuthorizationPolicySpec = {
  selector: { matchLabels: { app: 'a' } },
  action: 'DENY',
  rules: [
    {
      from: [
        { source: { principals: ['*'], notNamespaces: ['b'], ipBlocks: ['10.0.0.0/8', '::1'], trustDomains: ['*.local'], requestPrincipals: ['a/b'] } },
        { source: { serviceAccounts: ['ns/a', 'b'] } },
      ],
      to: [{ operation: { hosts: ['*.a'], ports: ['80', '0'], methods: ['GET'], paths: ['/a*', '/a/{*}/b/{**}'], notPaths: ['/x y'] } }],
      when: [
        { key: 'source.ip', values: ['10.0.0.1'] },
        { key: 'request.headers[a]', notValues: ['b'] },
        { key: 'request.auth.claims[a][b]', values: ['c'] },
        { key: 'destination.port', values: ['80'] },
        { key: 'source.serviceAccount', values: ['ns/a'] },
        { key: 'experimental.envoy.filters.a.b[c]', values: ['d'] },
      ],
    },
    {},
  ],
};

test('accepts what can be meant', () => {
  expect(fields(whole)).toEqual([]);
  expect(fields({})).toEqual([]);
  expect(fields({ targetRefs: [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'a' }] })).toEqual([]);
  expect(fields({ action: 'CUSTOM', provider: { name: 'p' }, rules: [{ to: [{ operation: { paths: ['/'] } }] }] })).toEqual([]);
  expect(fields(whole, { 'istio.io/dry-run': 'true' })).toEqual([]);
});

describe('refuses', () => {
  const source = 'rules[0].from[0].source';
  const operation = 'rules[0].to[0].operation';
  test.each<[string, Json | undefined, string]>([
    ['selector.matchLabels', { '': 'a' }, 'spec.selector.matchLabels'],
    ['targetRef', { kind: 'Pod', name: 'a' }, 'spec.targetRef.kind'],
    ['targetRefs', [{ kind: 'Service', name: 'a', namespace: 'b' }], 'spec.targetRefs[0].namespace'],
    ['rules', undefined, 'spec.rules'],
    ['provider', { name: 'p' }, 'spec.provider'],
    ['rules[0].from[0]', {}, 'spec.rules[0].from[0].source'],
    ['rules[0].to[0]', {}, 'spec.rules[0].to[0].operation'],
    [source, { principals: [] }, `spec.${source}`],
    [`${source}.principals[0]`, '', `spec.${source}.principals[0]`],
    [`${source}.notNamespaces[0]`, '', `spec.${source}.notNamespaces[0]`],
    [`${source}.ipBlocks[0]`, '10.0.0.0/33', `spec.${source}.ipBlocks[0]`],
    [`${source}.notRemoteIpBlocks`, ['a'], `spec.${source}.notRemoteIpBlocks[0]`],
    [`${source}.trustDomains[0]`, 'a/b', `spec.${source}.trustDomains[0]`],
    [`${source}.trustDomains[0]`, 'a*b', `spec.${source}.trustDomains[0]`],
    [`${source}.notTrustDomains`, ['*a*'], `spec.${source}.notTrustDomains[0]`],
    ['rules[0].from[1].source.serviceAccounts[0]', 'a/b/c', 'spec.rules[0].from[1].source.serviceAccounts[0]'],
    ['rules[0].from[1].source.serviceAccounts[0]', 'a/', 'spec.rules[0].from[1].source.serviceAccounts[0]'],
    ['rules[0].from[1].source.serviceAccounts[0]', 'a/*', 'spec.rules[0].from[1].source.serviceAccounts[0]'],
    [`${operation}.ports[0]`, 'http', `spec.${operation}.ports[0]`],
    [`${operation}.ports[0]`, '65536', `spec.${operation}.ports[0]`],
    [`${operation}.methods[0]`, '', `spec.${operation}.methods[0]`],
    [`${operation}.paths[0]`, '/{**}/{*}', `spec.${operation}.paths[0]`],
    [`${operation}.paths[0]`, '/{a}', `spec.${operation}.paths[0]`],
    [`${operation}.paths[0]`, '/a{*}', `spec.${operation}.paths[0]`],
    [`${operation}.paths[0]`, '/{*}/a b', `spec.${operation}.paths[0]`],
    ['rules[0].when[0].key', '', 'spec.rules[0].when[0].key'],
    ['rules[0].when[0].key', 'source.mood', 'spec.rules[0].when[0].key'],
    ['rules[0].when[0].key', 'destination.labels[a]', 'spec.rules[0].when[0].key'],
    ['rules[0].when[0].key', 'toString', 'spec.rules[0].when[0].key'],
    ['rules[0].when[0].values', [], 'spec.rules[0].when[0].values'],
    ['rules[0].when[0].values[0]', 'a', 'spec.rules[0].when[0].values[0]'],
    ['rules[0].when[1].key', 'request.headers', 'spec.rules[0].when[1].key'],
    ['rules[0].when[1].key', 'request.headers[]', 'spec.rules[0].when[1].key'],
    ['rules[0].when[3].values[0]', 'x', 'spec.rules[0].when[3].values[0]'],
    ['rules[0].when[4].notValues', ['a/b/c'], 'spec.rules[0].when[4].notValues[0]'],
  ])('%s = %j', (path, value, field) => {
    expect(fields(changed(whole, path, value))).toEqual([field]);
  });

  test('what an external authorizer cannot go by', () => {
    const custom = { action: 'CUSTOM', provider: { name: 'p' } } as const;
    expect(fields({ action: 'CUSTOM', rules: [{}] })).toEqual(['spec.provider.name']);
    expect(fields({ ...custom, rules: [] })).toEqual(['spec.rules']);
    expect(fields({ ...custom, rules: [{ from: [{ source: { namespaces: ['a'] } }] }] })).toEqual(['spec.rules[0].from[0].source.namespaces']);
    expect(fields({ ...custom, rules: [{ when: [{ key: 'request.auth.principal', values: ['a'] }] }] })).toEqual(['spec.rules[0].when[0].key']);
  });

  test('a trial of what cannot be tried, or of neither', () => {
    expect(fields(whole, { 'istio.io/dry-run': 'maybe' })).toEqual(['metadata.annotations[istio.io/dry-run]']);
    expect(fields({ action: 'AUDIT' }, { 'istio.io/dry-run': 'true' })).toEqual(['metadata.annotations[istio.io/dry-run]']);
  });
});
