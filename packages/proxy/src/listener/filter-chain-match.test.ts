import { expect, it } from 'vitest';
import { parseIp } from '../filters/rbac/ip-address.ts';
import type { FilterChainConfig, FilterChainMatchConfig } from '../xds/listener-config.ts';
import { type ChainCriteria, FilterChainMatcher } from './filter-chain-match.ts';

const any: FilterChainMatchConfig = {
  destinationPort: 0,
  prefixRanges: [],
  directSourcePrefixRanges: [],
  sourcePrefixRanges: [],
  sourcePorts: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
};
const chain = (name: string, match: Partial<FilterChainMatchConfig>): FilterChainConfig => ({ name, match: { ...any, ...match } }) as FilterChainConfig;
const connection = (fields: Partial<ChainCriteria>): ChainCriteria => ({
  destinationIp: parseIp('10.0.0.1'),
  destinationPort: 80,
  directSourceIp: parseIp('127.0.0.1'),
  sourceIp: parseIp('127.0.0.1'),
  sourcePort: 5555,
  serverName: '',
  transportProtocol: 'raw_buffer',
  applicationProtocols: [],
  ...fields,
});

const mesh = new FilterChainMatcher(
  [chain('mtls', { transportProtocol: 'tls', applicationProtocols: ['istio', 'istio-h2', 'h2'] }), chain('plaintext', { transportProtocol: 'raw_buffer' })],
  null,
);

it.each([
  ['mesh client', { transportProtocol: 'tls', applicationProtocols: ['istio-h2'] }, 'mtls'],
  ['plain text', {}, 'plaintext'],
  ['TLS of somebody else', { transportProtocol: 'tls', applicationProtocols: ['http/1.1'] }, undefined],
])('the mesh inbound listener: %s', (_name, fields, expected) => {
  expect(mesh.match(connection(fields))?.name).toBe(expected);
});

it.each([
  ['a.example.com', 'exact'],
  ['b.example.com', 'below'],
  ['x.y.example.com', 'below'],
  ['x.y.deep.example.com', 'deep'],
  ['example.com', 'rest'],
  ['', 'rest'],
])('server name %s takes %s', (serverName, expected) => {
  const matcher = new FilterChainMatcher(
    [
      chain('below', { serverNames: ['*.example.com'] }),
      chain('deep', { serverNames: ['*.deep.example.com'] }),
      chain('exact', { serverNames: ['a.example.com'] }),
      chain('rest', {}),
    ],
    null,
  );
  expect(matcher.match(connection({ serverName }))?.name).toBe(expected);
});

it('narrows by the longest prefix and never goes back', () => {
  const matcher = new FilterChainMatcher(
    [
      chain('wide', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 8 }] }),
      chain('narrow tls', { prefixRanges: [{ address: '10.0.0.0', prefixLength: 24 }], transportProtocol: 'tls' }),
      chain('port', { destinationPort: 81 }),
    ],
    chain('default', {}),
  );
  expect(matcher.match(connection({ transportProtocol: 'tls' }))?.name).toBe('narrow tls');
  expect(matcher.match(connection({}))?.name).toBe('default');
  expect(matcher.match(connection({ destinationIp: parseIp('10.9.9.9') }))?.name).toBe('wide');
  expect(matcher.match(connection({ destinationPort: 81 }))?.name).toBe('port');
});
