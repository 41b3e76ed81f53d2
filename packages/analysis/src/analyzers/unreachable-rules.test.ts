import type { Resource, VirtualServiceSpec } from '@outrigger/resources';
import { expect, test } from 'vitest';
import { Context } from '../context.ts';
import { unreachableRules } from './unreachable-rules.ts';

function said(spec: VirtualServiceSpec): string[] {
  const metadata = { name: 'a', namespace: 'ns', labels: {}, annotations: {}, creationTimestamp: '', resourceVersion: '', uid: '', generation: 0 };
  const resource: Resource<VirtualServiceSpec> = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec };
  const context = new Context([resource], { services: [], instances: [] }, {});
  unreachableRules.run(context);
  return context.messages.map(({ code, message }) => `${code} ${message}`);
}

const route = [{ destination: { host: 'a' } }];
const http = (...rules: NonNullable<VirtualServiceSpec['http']>): VirtualServiceSpec => ({ hosts: ['a'], http: rules.map((rule) => ({ ...rule, route })) });
const unused = (rule: string, match: string, taken: string) =>
  `IST0131 VirtualService rule ${rule} match ${match} is not used (duplicate/overlapping match in rule ${taken}).`;

test.each<[string, VirtualServiceSpec, string[]]>([
  ['different paths', http({ match: [{ uri: { prefix: '/a/b' } }] }, { match: [{ uri: { prefix: '/a' } }] }, {}), []],
  [
    'a path within an earlier one',
    http({ match: [{ uri: { prefix: '/a' } }] }, { name: 'late', match: [{ name: 'm', uri: { prefix: '/a/b' } }] }),
    [unused('"late"', '"m"', '#0')],
  ],
  ['one within it, by a method', http({ match: [{ uri: { prefix: '/a' }, method: { exact: 'GET' } }] }, { match: [{ uri: { prefix: '/a/b' } }] }), []],
  [
    'a narrower one',
    http({ match: [{ uri: { prefix: '/a' } }] }, { match: [{ uri: { prefix: '/a' }, headers: { x: { exact: '1' } } }] }),
    [unused('#1', '#0', '#0')],
  ],
  [
    'the same twice',
    http({ match: [{ uri: { exact: '/a' } }] }, { match: [{ uri: { exact: '/a' } }] }),
    [unused('#1', '#0', '#0'), 'IST0130 VirtualService rule #1 not used (all matches used by prior rules).'],
  ],
  [
    'what follows a rule for everything',
    http({}, { match: [{ uri: { exact: '/a' } }] }, {}),
    [
      'IST0130 VirtualService rule #1 not used (route without matches defined before).',
      'IST0130 VirtualService rule #2 not used (only the last rule can have no matches).',
    ],
  ],
  [
    'TCP',
    { hosts: ['a'], tcp: [{ match: [{ port: 80 }], route }, { match: [{ port: 80, sourceLabels: { a: 'b' } }], route }, { route }] },
    [unused('#1', '#0', '#0')],
  ],
])('%s', (_, spec, expected) => {
  expect(said(spec)).toEqual(expected);
});
