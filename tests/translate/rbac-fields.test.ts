import { create } from '@bufbuild/protobuf';
import type { AuthorizationRule } from '@outrigger/resources';
import { RBACSchema } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { describe, expect, test } from 'vitest';
import { type RuleContext, rulePolicy } from '../../packages/translate/src/security/rbac.ts';
import { type Call, matches } from './rbac-meaning.ts';

const call: Call = {
  principal: 'spiffe://cluster.local/ns/default/sa/web',
  sourceIp: '10.0.0.1',
  remoteIp: '10.0.0.1',
  destinationIp: '10.0.0.2',
  destinationPort: 8080,
  sni: '',
  path: '/',
  headers: { ':method': 'GET', ':authority': 'a' },
  metadata: {},
};

function holds(
  rule: AuthorizationRule,
  principal: string,
  more: Partial<RuleContext> = {},
): { readonly matched: boolean; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const context: RuleContext = {
    tcp: false,
    action: 'ALLOW',
    namespace: 'default',
    trustDomains: ['cluster.local', 'old.domain'],
    portSeen: (port) => port,
    onProblem: (field) => problems.push(field),
    ...more,
  };
  const policy = rulePolicy(rule, 'spec.rules[0]', context);
  const matched = policy !== undefined && matches(create(RBACSchema, { policies: { one: policy } }), { ...call, principal });
  return { matched, problems };
}

describe('trust domains', () => {
  const source = (trustDomains: string[], notTrustDomains: string[] = []): AuthorizationRule => ({ from: [{ source: { trustDomains, notTrustDomains } }] });
  const when = (values: string[]): AuthorizationRule => ({ when: [{ key: 'source.trustDomain', values }] });

  test.each([
    ['partner', source(['partner']), true, false],
    ['partner, as a condition', when(['partner']), true, false],
    ['a name that begins as ours', source(['cluster']), false, false],
    ['one of ours is all of ours', source(['old.domain']), false, true],
    ['any', source(['*']), true, true],
    ['by prefix', source(['part*']), true, false],
    ['by suffix', source(['*.local']), false, true],
    ['not partner', source([], ['partner']), false, true],
  ])('%s', (_, rule, partner, own) => {
    expect(holds(rule, 'spiffe://partner/ns/default/sa/web').matched).toBe(partner);
    expect(holds(rule, call.principal).matched).toBe(own);
    expect(holds(rule, '').matched).toBe(rule.from?.[0]?.source?.notTrustDomains?.length === 1);
  });
});

test.each([
  ['ALLOW', false],
  ['DENY', true],
] as const)('a field that is not known closes an ALLOW and widens a DENY: %s', (action, matched) => {
  const ofSource = { from: [{ source: { moods: ['good'] } }] } as unknown as AuthorizationRule;
  const ofOperation = { to: [{ operation: { moods: ['good'] } }] } as unknown as AuthorizationRule;
  expect(holds(ofSource, call.principal, { action })).toEqual({ matched, problems: ['spec.rules[0].from[0].source.moods'] });
  expect(holds(ofOperation, call.principal, { action })).toEqual({ matched, problems: ['spec.rules[0].to[0].operation.moods'] });
});
