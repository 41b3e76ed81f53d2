import { create } from '@bufbuild/protobuf';
import { bareNode, buildMesh } from '@outrigger/translate';
import { TypeUrl } from '@outrigger/xds';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { expect, test } from 'vitest';
import { CompiledXds, Tables } from './tables.ts';
import { type XdsResource, XdsState } from './xds-state.ts';

const node = bareNode('default', 'web');

function routes(regex: string): XdsResource {
  const match = { pathSpecifier: { case: 'safeRegex', value: { regex } } } as const;
  const action = { case: 'directResponse', value: { status: 200 } } as const;
  const message: RouteConfiguration = create(RouteConfigurationSchema, {
    name: 'r',
    virtualHosts: [{ name: 'a', domains: ['*'], routes: [{ match, action }] }],
  });
  return { typeUrl: TypeUrl.route, name: 'r', message, version: regex, bytes: 0, keys: new Set(), sources: [], places: new Map(), patches: new Map() };
}

test('what a proxy would refuse is said in its own words, and what it takes is not', () => {
  const tables = new Tables(new XdsState(buildMesh({ config: [], services: [], instances: [] })), new CompiledXds());
  expect(tables.refusal(node, routes('/a(b|c)'))).toBeUndefined();
  expect(tables.refusal(node, routes('/a(b'))).toMatch(/routes\[0\].*regex/);
});

test('where there is no such listener, that is said', () => {
  const tables = new Tables(new XdsState(buildMesh({ config: [], services: [], instances: [] })), new CompiledXds());
  const seen = {
    listener: 'gone',
    address: '',
    port: 0,
    remote: '',
    tls: false,
    sni: '',
    alpn: [],
    peer: '',
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    headers: [],
  } as const;
  expect(tables.decide(node, seen)).toMatchObject({ decision: 'no-listener' });
});
