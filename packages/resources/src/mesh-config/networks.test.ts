import { expect, it } from 'vitest';
import { parseSettings } from '../parse.ts';
import { meshNetworksProblems } from './networks.ts';

it.each([
  ['networks:\n  a:\n    endpoints: [{ fromCidr: 10.0.0.0/8 }, { fromCidr: "2001:db8::/32" }]\n    gateways: [{ address: 192.0.2.1, port: 15443 }]', []],
  [
    'networks:\n  a:\n    endpoints: [{ fromCidr: 10.0.0.0/33 }]',
    ['Error 3 MeshNetworks: networks.a.endpoints[0].fromCidr: "10.0.0.0/33" is no block of addresses'],
  ],
  ['networks:\n  a:\n    gateways:\n      - port: 0', ['Error 4 MeshNetworks: networks.a.gateways[0].port: 0 is no port']],
  [
    'networks:\n  a:\n    gateways:\n      - { address: edge.example, port: 1 }',
    ['Warning 4 MeshNetworks: networks.a.gateways[0].address: edge.example is a name, which is not resolved: the gateway is left out'],
  ],
  [
    'networks:\n  a:\n    endpoints:\n      - { fromRegistry: one }',
    ['Warning 4 MeshNetworks: networks.a.endpoints[0].fromRegistry: there is one registry: nothing is of the network by this'],
  ],
  ['networks: [a]', ['Error 1 MeshNetworks: networks: ["a"] is not a mapping']],
  ['network: {}', ['Warning 1 MeshNetworks: network: there is no field "network"']],
])('%j: %j', (text, expected) => {
  expect(meshNetworksProblems(parseSettings({ file: 'a.yaml', text }).settings).map(({ level, line, message }) => `${level} ${line} ${message}`)).toEqual(
    expected,
  );
});
