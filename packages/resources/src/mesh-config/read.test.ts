import { expect, it, test } from 'vitest';
import { parseDocuments, parseSettings } from '../parse.ts';
import { meshConfigIn, meshConfigProblems, meshConfigWithoutEffect, meshNetworksIn } from './read.ts';

const problemsOf = (text: string) =>
  meshConfigProblems(parseSettings({ file: 'mesh.yaml', text }).settings).map(({ level, line, message, next }) => `${level} ${line} ${message}; ${next}`);

it.each([
  ['', []],
  ['outboundTrafficPolicy: { mode: REGISTRY_ONLY }\nconnectTimeout: 3s\nenableAutoMtls: null', []],
  [
    'rootNamespace: mesh\nconnectTimeout: 3',
    ['Error 2 MeshConfig: connectTimeout: 3 is not a duration of 1ms or more, like "10s"; write a duration of 1ms or more, like "10s"'],
  ],
  ['connectTimeout: 0s', [expect.stringContaining('Error 1 MeshConfig: connectTimeout: "0s" is not')]],
  [
    'outboundTrafficPolicy:\n  mode: ALLOW',
    [
      'Error 2 MeshConfig: outboundTrafficPolicy.mode: "ALLOW" is not one of ALLOW_ANY, REGISTRY_ONLY, ALLOW_ANY_DYNAMIC_DNS; write one of ALLOW_ANY, REGISTRY_ONLY, ALLOW_ANY_DYNAMIC_DNS',
    ],
  ],
  [
    'localityLbSetting:\n  distribute:\n    - from: a\n      to: { b: half }',
    ['Error 4 MeshConfig: localityLbSetting.distribute[0].to.b: "half" is not a whole number from 0; write a whole number from 0'],
  ],
  [
    'outboundTrafficPolcy: {}',
    ['Warning 1 MeshConfig: outboundTrafficPolcy: there is no field "outboundTrafficPolcy"; write outboundTrafficPolicy in place of outboundTrafficPolcy'],
  ],
  ['toString: 1\n__proto__: 2', [expect.stringContaining('Warning 1'), expect.stringContaining('Warning 2')]],
])('%j: %j', (text, expected) => {
  expect(problemsOf(text)).toEqual(expected);
});

it('names what does nothing, with the reason', () => {
  const { settings } = parseSettings({ file: 'mesh.yaml', text: 'connectTimeout: 1s\nserviceSettings: []\n' });
  expect(meshConfigWithoutEffect(settings)).toEqual([{ name: 'serviceSettings', line: 2, why: 'there is one cluster' }]);
});

const found = (text: string, find = meshConfigIn) => {
  const one = find(parseDocuments([{ file: 'a.yaml', text }]).documents[0]!);
  return one === undefined
    ? undefined
    : { value: one.settings.value, problems: [...one.problems, ...meshConfigProblems(one.settings)].map(({ line }) => line) };
};

test('it is found in an IstioOperator and in the ConfigMap istio, with its lines', () => {
  const operator = 'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: { name: a }\nspec:\n  meshConfig:\n';
  expect(found(`${operator}    rootNamespace: mesh\n    connectTimeout: soon\n`)).toEqual({
    value: { rootNamespace: 'mesh', connectTimeout: 'soon' },
    problems: [7],
  });
  expect(found(`${operator}    - a\n`)?.problems).toEqual([5]);
  expect(found('apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: { name: a }\nspec: {}\n')).toBeUndefined();
  const map = (name: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\ndata:\n  mesh: |\n    rootNamespace: mesh\n    connectTimeout: soon\n`;
  expect(found(map('istio'))).toEqual({ value: { rootNamespace: 'mesh', connectTimeout: 'soon' }, problems: [8] });
  expect(found(map('other'))).toBeUndefined();
  expect(found(map('istio').replace('soon', '{'))?.problems[0]).toBeGreaterThan(7);
});

test('MeshNetworks too', () => {
  const map = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: istio }\ndata:\n  meshNetworks: |\n    networks: { a: {} }\n';
  expect(found(map, meshNetworksIn)?.value).toEqual({ networks: { a: {} } });
  const operator =
    'apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: { name: a }\nspec: { values: { global: { meshNetworks: { a: {} } } } }\n';
  expect(found(operator, meshNetworksIn)?.value).toEqual({ networks: { a: {} } });
});
