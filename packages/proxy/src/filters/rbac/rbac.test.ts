import { create, fromJson, type JsonObject } from '@bufbuild/protobuf';
import { RBACSchema } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '../../http/message.ts';
import { NO_ADDRESS, parseIp } from './ip-address.ts';
import { compileRbac, denialDetails, type RbacFilter } from './rbac.ts';
import type { ConnectionFacts } from './rule.ts';

const ORDER = 'spiffe://cluster.local/ns/default/sa/order-service';
const WEB = 'spiffe://cluster.local/ns/default/sa/web';

function filter(rules: JsonObject, shadowRules?: JsonObject): RbacFilter {
  const result = compileRbac({ rules: fromJson(RBACSchema, rules), shadowRules: shadowRules === undefined ? undefined : fromJson(RBACSchema, shadowRules) });
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.value;
}

function connection(fields: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    destinationIp: parseIp('10.0.0.9'),
    destinationPort: 9001,
    directRemoteIp: parseIp('10.0.0.1'),
    remoteIp: parseIp('192.168.0.7'),
    secure: true,
    peerUris: [ORDER],
    peerDnsNames: [],
    peerSubject: '',
    requestedServerName: 'outbound_.8080_._.payment-service',
    ...fields,
  };
}

function request(method = 'GET', path = '/pay?x=1', headers: string[] = []): RequestHead {
  return Object.assign(new RequestHead(), { method, path, authority: 'payment-service:8080', headers });
}

const ANY = [{ any: true }];
const principal = (name: string): JsonObject => ({ authenticated: { principalName: { exact: name } } });
const policies = (permissions: JsonObject[], principals: JsonObject[]): JsonObject => ({ policies: { p: { permissions, principals } } });
const matches = (permissions: JsonObject[], principals: JsonObject[], facts = connection(), head: RequestHead | null = request()): boolean =>
  filter(policies(permissions, principals)).decide(facts, head).allowed;

describe('who may pass', () => {
  const payment = filter({ action: 'ALLOW', ...policies(ANY, [principal(ORDER)]) });
  it.each<[string, Partial<ConnectionFacts>, boolean]>([
    ['the one that is named', {}, true],
    ['another', { peerUris: [WEB] }, false],
    ['nobody in particular', { secure: false, peerUris: [] }, false],
    ['a name that was not shown over TLS', { secure: false }, false],
    ['TLS without a certificate', { peerUris: [] }, false],
    ['one of several names', { peerUris: [WEB, ORDER] }, true],
    ['the name in another case', { peerUris: [ORDER.toUpperCase()] }, false],
  ])('%s: %s', (_name, facts, allowed) => {
    expect(payment.decide(connection(facts), request()).allowed).toBe(allowed);
  });

  it('is nobody where ALLOW has no policy, and everybody where DENY has none', () => {
    expect(filter({ action: 'ALLOW' }).decide(connection(), request()).allowed).toBe(false);
    expect(filter({ action: 'DENY' }).decide(connection(), request()).allowed).toBe(true);
  });

  it('is told by the policy that decided', () => {
    const deny = filter({ action: 'DENY', policies: { 'ns[default]-policy[x]-rule[0]': { permissions: ANY, principals: [principal(WEB)] } } });
    const verdict = deny.decide(connection({ peerUris: [WEB] }), request());
    expect(verdict).toEqual({ allowed: false, policy: 'ns[default]-policy[x]-rule[0]' });
    expect(denialDetails(verdict)).toBe('rbac_access_denied_matched_policy[ns[default]-policy[x]-rule[0]]');
    expect(deny.decide(connection(), request()).allowed).toBe(true);
    expect(denialDetails({ allowed: false, policy: '' })).toBe('rbac_access_denied_matched_policy[none]');
  });

  it('LOG lets everybody through, and shadow rules only tell', () => {
    expect(filter({ action: 'LOG', ...policies(ANY, ANY) }).decide(connection(), request())).toEqual({ allowed: true, policy: 'p' });
    const shadow = filter({ action: 'ALLOW', ...policies(ANY, ANY) }, { action: 'DENY', ...policies(ANY, ANY) });
    expect(shadow.decide(connection(), request()).allowed).toBe(true);
    expect(shadow.decideShadow(connection(), request())).toEqual({ allowed: false, policy: 'p' });
    expect(filter({}).decideShadow(connection(), request())).toBeNull();
  });

  it('is asked in the order of policy names', () => {
    const both = filter({ policies: { b: { permissions: ANY, principals: ANY }, a: { permissions: ANY, principals: ANY } } });
    expect(both.decide(connection(), request()).policy).toBe('a');
  });
});

describe('principals', () => {
  it.each<[string, JsonObject, boolean]>([
    ['any', { any: true }, true],
    ['authenticated at all', { authenticated: {} }, true],
    ['by prefix', { authenticated: { principalName: { prefix: 'spiffe://cluster.local/ns/default/' } } }, true],
    ['by suffix', { authenticated: { principalName: { suffix: '/sa/web' } } }, false],
    ['by expression', { authenticated: { principalName: { safeRegex: { regex: '.*/ns/default/.*' } } } }, true],
    ['source_ip is the connection', { sourceIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }, true],
    ['direct_remote_ip is the connection', { directRemoteIp: { addressPrefix: '192.168.0.0', prefixLen: 16 } }, false],
    ['remote_ip is the client', { remoteIp: { addressPrefix: '192.168.0.0', prefixLen: 16 } }, true],
    ['header', { header: { name: 'x-user', exactMatch: 'ann' } }, true],
    ['url_path is without query', { urlPath: { path: { exact: '/pay' } } }, true],
    ['metadata is never there', { metadata: { filter: 'f', path: [{ key: 'k' }], value: { stringMatch: { exact: 'v' } } } }, false],
    ['metadata, inverted', { metadata: { filter: 'f', path: [{ key: 'k' }], value: { stringMatch: { exact: 'v' } }, invert: true } }, true],
    ['metadata that must be absent', { metadata: { filter: 'f', path: [{ key: 'k' }], value: { presentMatch: false } } }, true],
    ['not', { notId: { any: true } }, false],
    ['and', { andIds: { ids: [{ any: true }, principal(WEB)] } }, false],
    ['or', { orIds: { ids: [principal(WEB), principal(ORDER)] } }, true],
  ])('%s', (_name, rule, expected) => {
    expect(matches(ANY, [rule], connection(), request('GET', '/pay?x', ['X-User', 'ann']))).toBe(expected);
  });

  it('takes DNS names and the subject where there is no URI', () => {
    expect(matches(ANY, [principal('a.example')], connection({ peerUris: [], peerDnsNames: ['a.example'] }))).toBe(true);
    expect(matches(ANY, [principal('CN=a')], connection({ peerUris: [], peerSubject: 'CN=a' }))).toBe(true);
  });
});

describe('permissions', () => {
  it.each<[string, JsonObject, boolean]>([
    ['method', { header: { name: ':method', exactMatch: 'GET' } }, true],
    ['other method', { header: { name: ':method', exactMatch: 'POST' } }, false],
    ['host', { header: { name: ':authority', stringMatch: { prefix: 'PAYMENT', ignoreCase: true } } }, true],
    ['path prefix', { urlPath: { path: { prefix: '/pa' } } }, true],
    ['port', { destinationPort: 9001 }, true],
    ['other port', { destinationPort: 9002 }, false],
    ['ports up to, not with, the end', { destinationPortRange: { start: 9000, end: 9001 } }, false],
    ['destination', { destinationIp: { addressPrefix: '10.0.0.9', prefixLen: 32 } }, true],
    ['server name', { requestedServerName: { prefix: 'outbound_' } }, true],
    ['not', { notRule: { destinationPort: 9002 } }, true],
    ['and', { andRules: { rules: [{ any: true }, { destinationPort: 9001 }] } }, true],
    ['or', { orRules: { rules: [{ destinationPort: 1 }, { destinationPort: 2 }] } }, false],
  ])('%s', (_name, rule, expected) => {
    expect(matches([rule], ANY)).toBe(expected);
  });

  it('any of several permissions and any of several principals', () => {
    expect(matches([{ destinationPort: 1 }, { any: true }], [principal(WEB), { any: true }])).toBe(true);
    expect(matches([{ any: true }], [principal(WEB)])).toBe(false);
  });
});

describe('TCP', () => {
  it('has neither path nor headers', () => {
    expect(matches([{ urlPath: { path: { prefix: '/' } } }], ANY, connection(), null)).toBe(false);
    expect(matches([{ header: { name: ':method', presentMatch: true } }], ANY, connection(), null)).toBe(false);
    expect(matches([{ notRule: { header: { name: 'x', presentMatch: true } } }], ANY, connection(), null)).toBe(true);
    expect(matches([{ destinationPort: 9001 }], [principal(ORDER)], connection(), null)).toBe(true);
  });

  it('on a Unix socket is in no range', () => {
    expect(matches([{ destinationIp: { addressPrefix: '0.0.0.0', prefixLen: 0 } }], ANY, connection({ destinationIp: NO_ADDRESS }))).toBe(false);
  });
});

describe('what cannot be decided here is refused', () => {
  it.each<[string, JsonObject, string]>([
    ['a CEL condition', { policies: { p: { permissions: ANY, principals: ANY, condition: {} } } }, 'rbac.rules.policies["p"].condition'],
    ['a principal without content', policies(ANY, [{}]), 'rbac.rules.policies["p"].principals[0]'],
    [
      'filter state',
      policies(ANY, [{ notId: { filterState: { key: 'k', stringMatch: { exact: 'v' } } } }]),
      'rbac.rules.policies["p"].principals[0].not_id.filter_state',
    ],
    ['a permission without content', policies([{}], ANY), 'rbac.rules.policies["p"].permissions[0]'],
    ['an extension', policies([{ matcher: { name: 'x' } }], ANY), 'rbac.rules.policies["p"].permissions[0].matcher'],
    [
      'no address',
      policies([{ destinationIp: { addressPrefix: '10.0.0', prefixLen: 8 } }], ANY),
      'rbac.rules.policies["p"].permissions[0].destination_ip.address_prefix',
    ],
    [
      'too long a prefix',
      policies([{ destinationIp: { addressPrefix: '10.0.0.1', prefixLen: 33 } }], ANY),
      'rbac.rules.policies["p"].permissions[0].destination_ip.prefix_len',
    ],
    ['nobody', { policies: { p: { permissions: ANY, principals: [] } } }, 'rbac.rules.policies["p"].principals'],
  ])('%s', (_name, rules, path) => {
    const result = compileRbac({ rules: fromJson(RBACSchema, rules) });
    expect(result.ok ? [] : result.errors.map((error) => error.path)).toContain(path);
  });

  it('a matcher tree', () => {
    expect(compileRbac({ matcher: {} }).ok).toBe(false);
  });

  it('nesting without end', () => {
    let rule: JsonObject = { any: true };
    for (let i = 0; i < 70; i++) rule = { notRule: rule };
    expect(compileRbac({ rules: fromJson(RBACSchema, policies([rule], ANY)) }).ok).toBe(false);
  });
});

it('without rules lets everybody through', () => {
  const result = compileRbac({ rules: undefined });
  expect(result.ok && result.value.decide(connection(), request()).allowed).toBe(true);
  expect(create(RBACSchema).action).toBe(0);
});
