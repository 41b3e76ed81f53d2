import { expect, it } from 'vitest';
import type { FilterChainConfig, FilterChainMatchConfig } from '../xds/listener-config.ts';
import { ConnectionOrigin } from './connection-origin.ts';
import { FilterChainMatcher } from './filter-chain-match.ts';

const any: FilterChainMatchConfig = {
  destinationPort: 0,
  prefixRanges: [],
  directSourcePrefixRanges: [],
  sourcePrefixRanges: [],
  sourcePorts: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  sourceType: 'any',
};
const chain = (name: string, match: Partial<FilterChainMatchConfig>): FilterChainConfig => ({ name, match: { ...any, ...match } }) as FilterChainConfig;
interface Given {
  readonly localIp?: string;
  readonly localPort?: number;
  readonly remoteIp?: string;
  readonly remotePort?: number;
  readonly serverName?: string;
  readonly transportProtocol?: 'tls' | 'raw_buffer';
  readonly applicationProtocols?: readonly string[];
}
const connection = (given: Given): ConnectionOrigin => {
  const origin = new ConnectionOrigin(given.localIp ?? '10.0.0.1', given.localPort ?? 80, '127.0.0.1', given.remotePort ?? 5555);
  origin.remoteIp = given.remoteIp ?? '127.0.0.1';
  origin.serverName = given.serverName ?? '';
  origin.transportProtocol = given.transportProtocol ?? 'raw_buffer';
  origin.applicationProtocols = given.applicationProtocols ?? [];
  return origin;
};

const mesh = new FilterChainMatcher(
  [chain('mtls', { transportProtocol: 'tls', applicationProtocols: ['istio', 'istio-h2', 'h2'] }), chain('plaintext', { transportProtocol: 'raw_buffer' })],
  null,
);

it.each<[string, Given, string | undefined]>([
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
  expect(matcher.match(connection({ localIp: '10.9.9.9' }))?.name).toBe('wide');
  expect(matcher.match(connection({ localPort: 81 }))?.name).toBe('port');
});

it.each([
  ['127.0.0.1', 'inside'],
  ['10.0.0.1', 'inside'],
  ['10.0.0.2', 'outside'],
])('a client at %s comes from %s', (remoteIp, expected) => {
  const matcher = new FilterChainMatcher([chain('inside', { sourceType: 'local' }), chain('outside', { sourceType: 'external' })], null);
  expect(matcher.match(connection({ remoteIp }))?.name).toBe(expected);
});
