import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { conflictingHosts } from './conflicting-hosts.ts';
import { destinationHosts } from './destination-hosts.ts';
import { hostsOwnedTwice } from './hosts-owned-twice.ts';
import { meshSettings } from './mesh-settings.ts';

describe('settings of the mesh that do nothing are said', () => {
  test.each<[string, string, string, string[]]>([
    ['of a file', '', 'connectTimeout: 3s\nserviceSettings: []\nca: {}\n', ['2', '3']],
    ['not what has an effect', '', 'connectTimeout: 3s\ningressClass: a\nrootNamespace: istio-system\n', []],
    ['not what is null', '', 'ca: null\n', []],
    ['none', '', '', []],
  ])('%s', async (_, yaml, meshConfig, lines) => {
    expect(await said(meshSettings, yaml, { meshConfig })).toEqual(lines.map((line) => `RIG0115 MeshConfig istio-system/meshconfig:${line}`));
  });

  test('of a ConfigMap, where they stand in it', async () => {
    expect(await said(meshSettings, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  mesh: |-\n    ca: {}\n')).toEqual([
      'RIG0115 MeshConfig istio-system/meshconfig:6',
    ]);
  });
});

describe('who sees what says nothing of it itself is as the settings of the mesh say', () => {
  const entry = (namespace: string, more: object = {}) =>
    object(
      'ServiceEntry',
      'a',
      { spec: { hosts: ['a.test'], resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], ...more } },
      { namespace },
    );
  const route = (namespace: string, more: object = {}) =>
    object('VirtualService', 'r', { spec: { hosts: ['a.test'], http: [{ route: [{ destination: { host: 'a.test' } }] }], ...more } }, { namespace });
  const own = { meshConfig: 'defaultServiceExportTo: ["."]\ndefaultVirtualServiceExportTo: ["."]\n' };

  test.each([
    ['a service of another namespace', destinationHosts, entry('one') + route('two'), ['IST0101 VirtualService two/r:3']],
    ['one that says more', destinationHosts, entry('one', { exportTo: ['*'] }) + route('two'), []],
    ['a host that two namespaces declare', hostsOwnedTwice, entry('one') + entry('two'), []],
    ['a host that two namespaces route', conflictingHosts, entry('one') + route('one') + route('two'), []],
    ['the same where one says more', conflictingHosts, entry('one') + route('one') + route('two', { exportTo: ['*'] }), ['one', 'two']],
  ])('%s', async (_, analyzer, yaml, expected) => {
    const heeded = await said(analyzer, yaml, own);
    expect(heeded.length).toBe(expected.length);
    for (const [index, text] of expected.entries()) expect(heeded[index]).toContain(text);
    // With what is told by default.
    expect((await said(analyzer, yaml)).length).toBe(analyzer === destinationHosts ? 0 : 2);
  });
});
