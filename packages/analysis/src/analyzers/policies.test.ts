import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { authorizationPolicies } from './authorization-policies.ts';
import { envoyFilterPatches } from './envoy-filter-patches.ts';
import { jwksFetches } from './jwks-fetches.ts';
import { lightstepTracing } from './lightstep-tracing.ts';
import { telemetryDefaults } from './telemetry-defaults.ts';
import { telemetryProviders } from './telemetry-providers.ts';
import { telemetrySelectors } from './telemetry-selectors.ts';

describe('authorization policies', () => {
  const policy = (spec: object, namespace = 'shop') => object('AuthorizationPolicy', 'a', { spec }, { namespace });
  const namespaces = object('Namespace', 'shop', {}, { labels: { 'istio-injection': 'enabled' } }) + object('Namespace', 'shop-eu');
  const pod = (labels: object, more: Record<string, unknown> = {}) => object('Pod', 'p', {}, { namespace: 'shop', labels, ...more });
  const base = namespaces + pod({ app: 'a' });
  const selecting = (app: string) => ({ selector: { matchLabels: { app } } });
  const from = (source: object) => ({ rules: [{ from: [{ source }] }] });

  test.each<[string, string, string[]]>([
    ['for a pod', base + policy(selecting('a')), []],
    ['for nobody', base + policy(selecting('b')), ['IST0127']],
    ['for a namespace', base + policy({}), []],
    ['for a namespace without pods', base + policy({}, 'shop-eu'), ['IST0127']],
    ['for a pod out of the mesh', namespaces + pod({ app: 'a', 'sidecar.istio.io/inject': 'false' }) + policy(selecting('a')), ['IST0127']],
    [
      'for a pod by its annotation',
      namespaces + pod({ app: 'a' }, { annotations: { 'sidecar.istio.io/inject': 'false' } }) + policy(selecting('a')),
      ['IST0127'],
    ],
    ['for a pod of a revision', object('Namespace', 'shop', {}, { labels: { 'istio.io/rev': 'x' } }) + pod({ app: 'a' }) + policy(selecting('a')), []],
    [
      'for a pod of an ambient namespace',
      object('Namespace', 'shop', {}, { labels: { 'istio.io/dataplane-mode': 'ambient' } }) + pod({ app: 'a' }) + policy(selecting('a')),
      [],
    ],
    [
      'for an ambient pod',
      namespaces +
        pod({ app: 'a', 'sidecar.istio.io/inject': 'false' }, { annotations: { 'ambient.istio.io/redirection': 'enabled' } }) +
        policy(selecting('a')),
      [],
    ],
    ['for the mesh', base + policy({}, 'istio-system'), []],
    ['for pods of the mesh', base + policy(selecting('a'), 'istio-system'), []],
    ['for no pods of the mesh', base + policy(selecting('b'), 'istio-system'), ['IST0127']],
    ['by targetRefs', base + policy({ targetRefs: [{ kind: 'Service', group: '', name: 's' }] }, 'shop-eu'), []],
    ['where nothing is known to run', namespaces + policy(selecting('b')), []],
    ['from a namespace that is there', base + policy(from({ namespaces: ['shop-eu'] })), []],
    ['from one that is not', base + policy(from({ namespaces: ['shop', 'shap'] })), ['IST0101']],
    ['from all but one that is not', base + policy(from({ notNamespaces: ['shap'] })), ['IST0101']],
    ['by beginning and end', base + policy(from({ namespaces: ['shop-*', '*-eu', '*'] })), []],
    ['by a beginning of none', base + policy(from({ namespaces: ['web-*', '*-us'] })), ['IST0101', 'IST0101']],
  ])('%s', async (_, yaml, codes) => {
    expect((await said(authorizationPolicies, yaml)).map((found) => found.split(' ', 1)[0])).toEqual(codes);
  });

  test('the root namespace is the one of the settings', async () => {
    expect(await said(authorizationPolicies, base + policy(selecting('a'), 'mesh'), { meshConfig: 'rootNamespace: mesh' })).toEqual([]);
  });
});

describe('jwks fetches', () => {
  const istiod = (env: object[], app = 'istiod') =>
    object('Deployment', 'istiod', { spec: { template: { spec: { containers: [{ name: 'discovery', env }] } } } }, { labels: { app } });
  const authentication = object('RequestAuthentication', 'r', { spec: {} });

  test.each<[string, string, string[]]>([
    ['not set', authentication + istiod([]), ['IST0175 Deployment default/istiod:3']],
    ['set to nothing', authentication + istiod([{ name: 'BLOCKED_CIDRS_IN_JWKS_URIS', value: '' }]), ['IST0175 Deployment default/istiod:3']],
    ['set', authentication + istiod([{ name: 'BLOCKED_CIDRS_IN_JWKS_URIS', value: '10.0.0.0/8' }]), []],
    ['not needed', istiod([]), []],
    ['another Deployment', authentication + istiod([], 'web'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(jwksFetches, yaml)).toEqual(expected);
  });
});

describe('telemetry selectors', () => {
  const telemetry = (name: string, app?: string, namespace = 'default') =>
    object('Telemetry', name, { spec: app === undefined ? {} : { selector: { matchLabels: { app } } } }, { namespace });
  const pod = (name: string) => object('Pod', name, {}, { labels: { app: 'a' } });

  test.each<[string, string, string[]]>([
    ['of a pod', pod('p') + telemetry('t', 'a'), []],
    ['of none', pod('p') + telemetry('t', 'b'), ['IST0101 Telemetry default/t:3']],
    ['of a pod elsewhere', pod('p') + telemetry('t', 'a', 'other'), ['IST0101 Telemetry other/t:3']],
    ['two of a pod', pod('p') + telemetry('t', 'a') + telemetry('u', 'a'), ['IST0159 Telemetry default/t:3', 'IST0159 Telemetry default/u:5']],
    ['one of it and one of all', pod('p') + telemetry('t', 'a') + telemetry('u'), []],
    ['where nothing is known to run', telemetry('t', 'b'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(telemetrySelectors, yaml)).toEqual(expected);
  });
});

describe('telemetry defaults', () => {
  const telemetry = (name: string, spec: object = {}, namespace = 'default') => object('Telemetry', name, { spec }, { namespace });
  const target = { targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' }] };

  test.each<[string, string, string[]]>([
    ['one', telemetry('a'), []],
    ['two', telemetry('a') + telemetry('b'), ['default/a:1', 'default/b:3']],
    ['in two namespaces', telemetry('a') + telemetry('b', {}, 'other'), []],
    ['one of them with a selector', telemetry('a') + telemetry('b', { selector: { matchLabels: { app: 'x' } } }), []],
    ['one of them with a target', telemetry('a') + telemetry('b', target), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(telemetryDefaults, yaml)).toEqual(expected.map((name) => `IST0160 Telemetry ${name}`));
  });
});

describe('telemetry providers', () => {
  const telemetry = (...accessLogging: object[]) => object('Telemetry', 't', { spec: { accessLogging } });
  const found = ['IST0157 Telemetry default/t:1'];

  test.each<[string, string, string | undefined, string[]]>([
    ['none', telemetry({ disabled: false }), undefined, found],
    ['none twice, said once', telemetry({}, {}), undefined, found],
    ['one', telemetry({ providers: [{ name: 'otel' }] }), undefined, []],
    ['the default of the mesh', telemetry({}), 'defaultProviders: {accessLogging: [envoy]}', []],
    ['a default for traces alone', telemetry({}), 'defaultProviders: {tracing: [otel]}', found],
  ])('%s', async (_, yaml, meshConfig, expected) => {
    expect(await said(telemetryProviders, yaml, meshConfig === undefined ? {} : { meshConfig })).toEqual(expected);
  });
});

describe('lightstep tracing', () => {
  const telemetry = (name: string) => object('Telemetry', 't', { spec: { tracing: [{ providers: [{ name }] }] } });
  const meshConfig =
    'extensionProviders:\n- name: light\n  lightstep: {service: a, port: 1, accessToken: t}\n- name: otel\n  opentelemetry: {service: a, port: 1}\n';

  test.each<[string, string | undefined, string[]]>([
    ['light', meshConfig, ['IST0002 Telemetry default/t:1']],
    ['otel', meshConfig, []],
    ['light', undefined, []],
  ])('%s', async (name, config, expected) => {
    expect(await said(lightstepTracing, telemetry(name), config === undefined ? {} : { meshConfig: config })).toEqual(expected);
  });
});

describe('envoy filter patches', () => {
  const patch = (applyTo: string, operation: string, name = 'f', match: object = {}) => ({
    applyTo,
    match: { context: 'GATEWAY', ...match },
    patch: { operation, value: { name } },
  });
  const filter = (name: string, spec: object, ...configPatches: object[]) => object('EnvoyFilter', name, { spec: { configPatches, ...spec } });
  const version = { proxy: { proxyVersion: '^1\\.2' } };

  test.each<[string, string, string[]]>([
    ...['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'].map((operation): [string, string, string[]] => [
      operation,
      filter('a', {}, patch('HTTP_FILTER', operation)),
      ['IST0151 a:1'],
    ]),
    ...['ADD', 'INSERT_FIRST', 'MERGE'].map((operation): [string, string, string[]] => [operation, filter('a', {}, patch('HTTP_FILTER', operation)), []]),
    ['with a priority', filter('a', { priority: 1 }, patch('HTTP_FILTER', 'INSERT_BEFORE')), []],
    ['several, said once', filter('a', {}, patch('HTTP_FILTER', 'REPLACE'), patch('NETWORK_FILTER', 'REMOVE', 'g')), ['IST0151 a:1']],
    [
      'after one for some versions',
      filter('a', { priority: 1 }, patch('HTTP_FILTER', 'REPLACE', 'f', version)) + filter('b', {}, patch('HTTP_FILTER', 'REPLACE')),
      ['IST0155 b:3'],
    ],
    [
      'after one of another filter',
      filter('a', { priority: 1 }, patch('HTTP_FILTER', 'REPLACE', 'g', version)) + filter('b', {}, patch('HTTP_FILTER', 'REPLACE')),
      ['IST0151 b:3'],
    ],
    ['ADD to routes', filter('a', {}, patch('HTTP_ROUTE', 'ADD')) + filter('b', {}, patch('ROUTE_CONFIGURATION', 'ADD')), ['IST0153 a:1', 'IST0153 b:3']],
    ['ADD of a cluster', filter('a', {}, patch('CLUSTER', 'ADD')), []],
    ['REMOVE of routes', filter('a', {}, patch('HTTP_ROUTE', 'REMOVE')), ['IST0154 a:1']],
    ['REPLACE of a cluster', filter('a', { priority: 1 }, patch('CLUSTER', 'REPLACE')), ['IST0152 a:1']],
    ['REPLACE of a virtual host', filter('a', { priority: 1 }, patch('VIRTUAL_HOST', 'REPLACE')), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(envoyFilterPatches, yaml)).toEqual(expected.map((found) => found.replace(' ', ' EnvoyFilter default/')));
  });
});
