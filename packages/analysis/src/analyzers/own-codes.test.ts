import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { hostsOwnedTwice } from './hosts-owned-twice.ts';
import { ownAnnotations } from './own-annotations.ts';
import { shadowedRoutes } from './shadowed-routes.ts';
import { weightsWithoutEndpoints } from './weights-without-endpoints.ts';

describe('shadowed routes', () => {
  const route = [{ destination: { host: 'a' } }];
  const rules = (...matches: object[][]) =>
    object('VirtualService', 'v', { spec: { hosts: ['a'], http: matches.map((match) => (match.length === 0 ? { route } : { match, route })) } });
  const found = ['RIG0101 VirtualService default/v:1'];

  test.each<[string, string, string[]]>([
    ['a path within a prefix', rules([{ uri: { prefix: '/a' } }], [{ uri: { exact: '/a/b' } }]), found],
    ['anything after "/"', rules([{ uri: { prefix: '/' } }], [{ uri: { regex: '/x.*' } }]), found],
    [
      'two matches, taken by two rules',
      rules([{ uri: { prefix: '/a' } }], [{ uri: { prefix: '/b' } }], [{ uri: { exact: '/a' } }, { uri: { prefix: '/b/c' } }]),
      found,
    ],
    ['two matches, one taken', rules([{ uri: { prefix: '/a' } }], [{ uri: { exact: '/a' } }, { uri: { exact: '/c' } }]), []],
    ['a narrower one first', rules([{ uri: { prefix: '/a/b' } }], [{ uri: { prefix: '/a' } }], []), []],
    ['the same path of another method', rules([{ uri: { prefix: '/a' }, method: { exact: 'GET' } }], [{ uri: { prefix: '/a' } }]), []],
    ['the same path of a header more', rules([{ uri: { prefix: '/a' } }], [{ uri: { prefix: '/a' }, headers: { x: { exact: '1' } } }]), found],
    ['a header that must be there', rules([{ headers: { x: {} } }], [{ headers: { x: { prefix: '1' } } }]), found],
    ['without a header', rules([{ withoutHeaders: { x: {} } }], [{ uri: { prefix: '/' } }]), []],
    ['another port', rules([{ port: 80 }], [{ port: 81 }]), []],
    ['other callers', rules([{ sourceLabels: { app: 'x' } }], [{ uri: { prefix: '/' } }]), []],
    ['one gateway of two', rules([{ gateways: ['mesh'] }], [{ gateways: ['mesh', 'g'] }]), []],
    ['another case of letters', rules([{ uri: { prefix: '/a' }, ignoreUriCase: true }], [{ uri: { prefix: '/a/b' } }]), []],
    ['the same match, which is IST0130', rules([{ uri: { prefix: '/a' } }], [{ uri: { prefix: '/a' } }]), []],
    ['a last rule for the rest', rules([{ uri: { prefix: '/a' } }], []), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(shadowedRoutes, yaml)).toEqual(expected);
  });
});

test('what a delegate has not taken goes on', async () => {
  const delegate = { match: [{ uri: { prefix: '/a' } }], delegate: { name: 'd' } };
  const route = { match: [{ uri: { prefix: '/a/b' } }], route: [{ destination: { host: 'a' } }] };
  expect(await said(shadowedRoutes, object('VirtualService', 'v', { spec: { hosts: ['a'], http: [delegate, route] } }))).toEqual([]);
});

describe('weights without endpoints', () => {
  const service = object('Service', 'a', { spec: { selector: { app: 'a' }, ports: [{ port: 80, name: 'http' }] } });
  const pod = (labels: object) => object('Pod', 'p', {}, { labels });
  const rule = object('DestinationRule', 'a', { spec: { host: 'a', subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) } });
  const split = (...route: object[]) => object('VirtualService', 'v', { spec: { hosts: ['a'], http: [{ route }] } });
  const to = (subset: string, weight: number) => ({ destination: { host: 'a', subset }, weight });
  const base = service + rule;

  test.each<[string, string, number]>([
    ['a subset that has none', base + pod({ app: 'a', version: 'v1' }) + split(to('v1', 90), to('v2', 10)), 1],
    ['without a weight', base + pod({ app: 'a', version: 'v1' }) + split(to('v1', 100), to('v2', 0)), 0],
    ['subsets that have some', base + pod({ app: 'a', version: 'v1' }) + pod({ app: 'a', version: 'v2' }) + split(to('v1', 90), to('v2', 10)), 0],
    ['a host that has none', base + pod({ app: 'b' }) + split({ destination: { host: 'a' } }), 1],
    ['where no pods are in the files', base + split(to('v1', 90), to('v2', 10)), 0],
    ['a subset that nobody declares', base + pod({ app: 'a' }) + split(to('v3', 100)), 0],
  ])('%s', async (_, yaml, count) => {
    expect((await said(weightsWithoutEndpoints, yaml)).map((text) => text.split(' ', 1)[0])).toEqual(Array(count).fill('RIG0102'));
  });
});

describe('hosts owned twice', () => {
  const entry = (namespace: string, hosts: string[], exportTo?: string[]) =>
    object(
      'ServiceEntry',
      's',
      { spec: { hosts, resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], ...(exportTo === undefined ? {} : { exportTo }) } },
      { namespace },
    );

  test.each<[string, string, string[]]>([
    ['by two namespaces', entry('x', ['a.test', 'b.test']) + entry('y', ['a.test']), ['x/s:1', 'y/s:3']],
    ['each for itself', entry('x', ['a.test'], ['.']) + entry('y', ['a.test'], ['.']), []],
    ['one for all', entry('x', ['a.test'], ['.']) + entry('y', ['a.test']), ['x/s:1', 'y/s:3']],
    ['two hosts', entry('x', ['a.test']) + entry('y', ['b.test']), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(hostsOwnedTwice, yaml)).toEqual(expected.map((place) => `RIG0103 ServiceEntry ${place}`));
  });
});

describe('annotations of ours', () => {
  const entry = { hosts: ['x.example'], resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] };
  const annotated = (kind: 'ServiceEntry' | 'DestinationRule', name: string) =>
    object(kind, 'x', { spec: kind === 'ServiceEntry' ? entry : { host: 'x.example' } }, { annotations: { [name]: '_http._tcp.x.example' } });

  test.each([
    ['in its place', annotated('ServiceEntry', 'outrigger.dev/srv'), []],
    ['misspelt', annotated('ServiceEntry', 'outrigger.dev/svr'), ['IST0108 ServiceEntry default/x']],
    ['in capitals', annotated('ServiceEntry', 'outrigger.dev/SRV'), ['IST0108 ServiceEntry default/x']],
    ['out of its place', annotated('DestinationRule', 'outrigger.dev/srv'), ['IST0107 DestinationRule default/x']],
    ["somebody else's", annotated('ServiceEntry', 'example.com/srv'), []],
  ])('%s', async (_, yaml, expected) => {
    expect((await said(ownAnnotations, yaml)).map((found) => found.replace(/:\d+$/, ''))).toEqual(expected);
  });
});
