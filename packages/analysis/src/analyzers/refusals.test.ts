import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { deniedRoutes } from './denied-routes.ts';
import { mtlsMismatches } from './mtls-mismatches.ts';

const service =
  object('Service', 'a', { spec: { selector: { app: 'a' }, ports: [{ port: 80, name: 'http' }] } }) + object('Pod', 'a', {}, { labels: { app: 'a' } });
const codes = (found: readonly string[]): readonly string[] => found.map((text) => text.split(' ', 1)[0]!);

describe('routes that policies refuse', () => {
  const policy = (spec: object, namespace = 'default'): string => object('AuthorizationPolicy', `p${JSON.stringify(spec).length}`, { spec }, { namespace });
  const operation = (fields: object) => ({ rules: [{ to: [{ operation: fields }] }] });
  const route = (match: object, more: object = {}): string =>
    object('VirtualService', 'v', { spec: { hosts: ['a'], http: [{ match: [match], route: [{ destination: { host: 'a' } }], ...more }] } });
  const prefix = { uri: { prefix: '/x' } };
  const exact = { uri: { exact: '/x' } };

  test.each<[string, string, boolean]>([
    ['no policy', route(prefix), false],
    ['a policy for others', route(prefix) + policy({ selector: { matchLabels: { app: 'b' } }, ...operation({ paths: ['/y'] }) }), false],
    ['another path is allowed', route(prefix) + policy(operation({ paths: ['/y*'] })), true],
    ['a path below is', route(prefix) + policy(operation({ paths: ['/x/y'] })), false],
    ['the path itself', route(exact) + policy(operation({ paths: ['/x'] })), false],
    ['a path that ends so', route(exact) + policy(operation({ paths: ['*/x'] })), false],
    ['a path that ends otherwise', route(exact) + policy(operation({ paths: ['*/y'] })), true],
    ['a template may be anything', route(exact) + policy(operation({ paths: ['/{*}'] })), false],
    ['another method', route({ ...prefix, method: { exact: 'POST' } }) + policy(operation({ methods: ['GET'] })), true],
    ['any method may be the one', route(prefix) + policy(operation({ methods: ['GET'] })), false],
    ['nothing at all is allowed', route(prefix) + policy({}), true],
    ['somebody is', route(prefix) + policy({ rules: [{ from: [{ source: { namespaces: ['default'] } }] }] }), false],
    ['of two one allows it', route(prefix) + policy(operation({ paths: ['/y'] })) + policy(operation({ paths: ['/x*'] })), false],
    ['it is denied to everybody', route(exact) + policy({ action: 'DENY', ...operation({ paths: ['/x*'] }) }), true],
    ['a part of it is', route(prefix) + policy({ action: 'DENY', ...operation({ paths: ['/x/y'] }) }), false],
    [
      'to some',
      route(exact) + policy({ action: 'DENY', rules: [{ from: [{ source: { namespaces: ['x'] } }], to: [{ operation: { paths: ['/x'] } }] }] }),
      false,
    ],
    ['by the whole mesh', route(exact) + policy({ action: 'DENY', rules: [{}] }, 'istio-system'), true],
    ['somebody else is asked', route(exact) + policy({ action: 'CUSTOM', provider: { name: 'x' }, rules: [{}] }), false],
    ['the path is rewritten to one that is not known', route(prefix, { rewrite: { uri: '/y' } }) + policy(operation({ paths: ['/y'] })), false],
  ])('%s', async (_, yaml, denied) => {
    expect(codes(await said(deniedRoutes, service + yaml))).toEqual(denied ? ['RIG0106'] : []);
  });
});

describe('calls that are made in another way than they are taken', () => {
  const rule = (mode: string): string => object('DestinationRule', 'r', { spec: { host: 'a', trafficPolicy: { tls: { mode } } } });
  const peer = (mode: string, spec: object = {}, namespace = 'default'): string =>
    object('PeerAuthentication', `p${JSON.stringify(spec).length}`, { spec: { ...spec, mtls: { mode } } }, { namespace });
  const selecting = { selector: { matchLabels: { app: 'a' } } };

  test.each<[string, string, boolean]>([
    ['without mTLS where it is wanted', rule('DISABLE') + peer('STRICT'), true],
    ['with TLS of another sort', rule('SIMPLE') + peer('STRICT'), true],
    ['with mTLS where it is off', rule('ISTIO_MUTUAL') + peer('DISABLE'), true],
    ['without where both are taken', rule('DISABLE') + peer('PERMISSIVE'), false],
    ['nothing is said', rule('DISABLE'), false],
    ['the mesh wants it', rule('DISABLE') + peer('STRICT', {}, 'istio-system'), true],
    ['the namespace does not', rule('DISABLE') + peer('STRICT', {}, 'istio-system') + peer('PERMISSIVE'), false],
    ['the workload does', rule('DISABLE') + peer('PERMISSIVE') + peer('STRICT', selecting), true],
  ])('%s', async (_, yaml, told) => {
    expect(codes(await said(mtlsMismatches, service + yaml))).toEqual(told ? ['RIG0107'] : []);
  });
});
