import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { multipliedRetries } from './multiplied-retries.ts';
import { timeoutsBeyondCallers } from './timeouts-beyond-callers.ts';

const service = (name: string): string =>
  object('Service', name, { spec: { selector: { app: name }, ports: [{ port: 80, name: 'http' }] } }) +
  object('Pod', name, { spec: { serviceAccountName: name, containers: [] } }, { labels: { app: name } });
const called = (name: string, rule: object, spec: { readonly gateways?: readonly string[] } = {}): string =>
  object('VirtualService', `${spec.gateways === undefined ? 'to' : 'edge'}-${name}`, {
    spec: { hosts: [name], ...spec, http: [{ route: [{ destination: { host: name } }], ...rule }] },
  });
const bySidecar = (caller: string, callee: string): string =>
  object('Sidecar', caller, { spec: { workloadSelector: { labels: { app: caller } }, egress: [{ hosts: [`./${callee}.default.svc.cluster.local`] }] } });
const byPolicy = (caller: string, callee: string): string =>
  object('AuthorizationPolicy', callee, {
    spec: { selector: { matchLabels: { app: callee } }, rules: [{ from: [{ source: { principals: [`cluster.local/ns/default/sa/${caller}`] } }] }] },
  });
const names = (found: readonly string[]): readonly string[] => found.map((text) => text.replace(/:\d+$/, ''));
const two = service('a') + service('b');

describe('timeouts beyond those of callers', () => {
  const told = ['RIG0104 VirtualService default/to-b'];

  test.each<[string, string, readonly string[]]>([
    ['by what a Sidecar names', two + bySidecar('a', 'b') + called('a', { timeout: '1s' }) + called('b', { timeout: '2s' }), told],
    ['by whom a policy lets in', two + byPolicy('a', 'b') + called('a', { timeout: '1s' }) + called('b', { timeout: '2s' }), told],
    ['by the labels of callers', two + called('a', { timeout: '1s' }) + called('b', { timeout: '2s', match: [{ sourceLabels: { app: 'a' } }] }), told],
    ['a caller that waits longer', two + bySidecar('a', 'b') + called('a', { timeout: '2s' }) + called('b', { timeout: '2s' }), []],
    ['a caller without a limit', two + bySidecar('a', 'b') + called('b', { timeout: '2s' }), []],
    [
      'of several ways to the caller the longest counts',
      two + bySidecar('a', 'b') + called('a', { timeout: '1s' }) + called('a', { timeout: '3s' }, { gateways: ['g'] }) + called('b', { timeout: '2s' }),
      [],
    ],
    ['nobody is known to call', two + called('a', { timeout: '1s' }) + called('b', { timeout: '2s' }), []],
    ['one try longer than all', two + called('b', { timeout: '1s', retries: { attempts: 2, perTryTimeout: '2s' } }), told],
    ['tries within', two + called('b', { timeout: '1s', retries: { attempts: 2, perTryTimeout: '500ms' } }), []],
  ])('%s', async (_, yaml, expected) => {
    expect(names(await said(timeoutsBeyondCallers, yaml))).toEqual(expected);
  });
});

describe('retries that multiply', () => {
  const three = two + service('c');
  const retries = (attempts: number) => ({ retries: { attempts } });

  test.each<[string, string, readonly string[]]>([
    [
      'along three services',
      three + bySidecar('a', 'b') + bySidecar('b', 'c') + called('b', retries(3)) + called('c', retries(3)),
      ['RIG0105 VirtualService default/to-c'],
    ],
    ['of a gateway beside those of sidecars', two + called('b', retries(9), { gateways: ['g'] }) + called('b', retries(9)), []],
    [
      'from a gateway on',
      two +
        bySidecar('a', 'b') +
        object('VirtualService', 'edge', { spec: { hosts: ['x'], gateways: ['g'], http: [{ route: [{ destination: { host: 'a' } }], ...retries(3) }] } }) +
        called('b', retries(3)),
      ['RIG0105 VirtualService default/to-b'],
    ],
    ['one alone, however many', two + bySidecar('a', 'b') + called('b', retries(20)), []],
    ['few', three + bySidecar('a', 'b') + bySidecar('b', 'c') + called('b', retries(1)) + called('c', retries(3)), []],
    ['round a circle, which has no end to count from', two + bySidecar('a', 'b') + bySidecar('b', 'a') + called('a', retries(3)) + called('b', retries(3)), []],
  ])('%s', async (_, yaml, expected) => {
    expect(names(await said(multipliedRetries, yaml)).toSorted()).toEqual(expected);
  });
});
