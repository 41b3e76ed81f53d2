import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { apiReferences } from './api-references.ts';
import { apiShadowedRules } from './api-shadowed-rules.ts';
import { weightsWithoutEndpoints } from './weights-without-endpoints.ts';

const service = (name: string, namespace = 'default'): string =>
  object('Service', name, { spec: { selector: { app: name }, ports: [{ port: 80, name: 'http' }] } }, { namespace });
const route = (spec: object, name = 'r', metadata: object = {}, kind = 'HTTPRoute'): string =>
  object(kind, name, { spec: { parentRefs: [{ name: 'edge' }], ...spec } }, metadata as Record<string, unknown>);
const to = (name: string, more: object = {}) => ({ backendRefs: [{ name, port: 80, ...more }] });
const gateway = object('ApiGateway', 'edge', { spec: { gatewayClassName: 'outrigger', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] } });
const codes = (found: readonly string[]): readonly string[] => found.map((text) => text.replace(/:\d+$/, ''));

describe('references of routes', () => {
  const told = ['RIG0114 HTTPRoute default/r'];
  const grant = (from: string, name?: string): string =>
    object(
      'ReferenceGrant',
      'g',
      {
        spec: {
          from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: from }],
          to: [{ group: '', kind: 'Service', ...(name === undefined ? {} : { name }) }],
        },
      },
      { namespace: 'x' },
    );
  const foreign = service('a', 'x') + route({ rules: [to('a', { namespace: 'x' })] });

  test.each<[string, string, readonly string[]]>([
    ['that are there', gateway + service('a') + route({ rules: [to('a')] }), []],
    ['a Service that is not', service('a') + route({ rules: [to('b')] }), told],
    ['a port that it does not have', service('a') + route({ rules: [to('a', { port: 81 })] }), told],
    [
      'a mirror that is not there',
      service('a') + route({ rules: [{ filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'b', port: 80 } } }], ...to('a') }] }),
      told,
    ],
    ['a namespace that grants it', foreign + grant('default'), []],
    ['by name', foreign + grant('default', 'a'), []],
    ['that grants another', foreign + grant('default', 'b'), told],
    ['that grants somebody else', foreign + grant('other'), told],
    ['that grants nothing', foreign, told],
    ['a Gateway of those that are written', gateway + service('a') + route({ parentRefs: [{ name: 'other' }], rules: [to('a')] }), told],
    ['a Gateway of somebody else', service('a') + route({ parentRefs: [{ name: 'other' }], rules: [to('a')] }), []],
    ['a listener', gateway + service('a') + route({ parentRefs: [{ name: 'edge', sectionName: 'https' }], rules: [to('a')] }), told],
    ['a Service as a parent', service('a') + route({ parentRefs: [{ group: '', kind: 'Service', name: 'a' }], rules: [to('a')] }), []],
    ['a parent that is no Service', service('a') + route({ parentRefs: [{ group: '', kind: 'Service', name: 'b' }], rules: [to('a')] }), told],
    ['of TCP', service('a') + route({ rules: [to('b')] }, 'r', {}, 'TCPRoute'), ['RIG0114 TCPRoute default/r']],
  ])('%s', async (_, yaml, expected) => {
    expect(codes(await said(apiReferences, yaml))).toEqual(expected);
  });
});

describe('rules that an equal one takes', () => {
  const path = (value: string) => ({ matches: [{ path: { type: 'PathPrefix', value } }] });
  const young = { creationTimestamp: '2026-01-01T00:00:00Z' };
  const old = { creationTimestamp: '2025-01-01T00:00:00Z' };

  test.each<[string, string, readonly string[]]>([
    [
      'twice in one route',
      route({
        rules: [
          { ...path('/a'), ...to('a') },
          { ...path('/a'), ...to('b') },
        ],
      }),
      ['RIG0101 HTTPRoute default/r'],
    ],
    ['in an older route', route({ rules: [to('a')] }, 'k', young) + route({ rules: [to('b')] }, 'm', old), ['RIG0101 HTTPRoute default/k']],
    ['no match is that of every path', route({ rules: [{ ...path('/'), ...to('a') }, to('b')] }), ['RIG0101 HTTPRoute default/r']],
    [
      'a longer path is another',
      route({
        rules: [
          { ...path('/a'), ...to('a') },
          { ...path('/a/b'), ...to('b') },
        ],
      }),
      [],
    ],
    ['for other hosts', route({ rules: [to('a')], hostnames: ['k.test'] }, 'k') + route({ rules: [to('b')], hostnames: ['m.test'] }, 'm'), []],
    ['at another listener', route({ rules: [to('a')], parentRefs: [{ name: 'edge', sectionName: 'b' }] }, 'k') + route({ rules: [to('b')] }, 'm'), []],
    [
      'one of two matches is its own',
      route({
        rules: [
          { ...path('/a'), ...to('a') },
          { matches: [...path('/a').matches, ...path('/b').matches], ...to('b') },
        ],
      }),
      [],
    ],
    [
      'headers in another order',
      route({
        rules: [
          {
            matches: [
              {
                headers: [
                  { name: 'k', value: '1' },
                  { name: 'm', value: '2' },
                ],
              },
            ],
            ...to('a'),
          },
          {
            matches: [
              {
                headers: [
                  { name: 'm', value: '2' },
                  { name: 'k', value: '1' },
                ],
              },
            ],
            ...to('b'),
          },
        ],
      }),
      ['RIG0101 HTTPRoute default/r'],
    ],
  ])('%s', async (_, yaml, expected) => {
    expect(codes(await said(apiShadowedRules, yaml))).toEqual(expected);
  });
});

test('weights of backends without pods', async () => {
  const pods = object('Pod', 'a', {}, { labels: { app: 'a' } });
  const split = route({
    rules: [
      {
        backendRefs: [
          { name: 'a', port: 80, weight: 9 },
          { name: 'b', port: 80, weight: 1 },
        ],
      },
    ],
  });
  expect(codes(await said(weightsWithoutEndpoints, service('a') + service('b') + pods + split))).toEqual(['RIG0102 HTTPRoute default/r']);
});
