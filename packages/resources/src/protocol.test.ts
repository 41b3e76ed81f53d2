import { expect, it } from 'vitest';
import { protocolOf } from './protocol.ts';

it.each([
  ['http', '', '', 'HTTP'],
  ['http2-api', '', '', 'HTTP2'],
  ['grpc', '', '', 'GRPC'],
  ['grpc-web', '', '', 'GRPC-WEB'],
  ['grpc-web-x', '', '', 'GRPC-WEB'],
  ['HTTP-web', '', '', 'HTTP'],
  ['httpx', '', '', 'UNSUPPORTED'],
  ['web', '', '', 'UNSUPPORTED'],
  ['http', 'TCP', '', 'TCP'],
  ['web', 'HTTP', '', 'HTTP'],
  ['web', 'grpc', '', 'GRPC'],
  ['http', 'UDP', 'http', 'UDP'],
  ['tcp', '', 'kubernetes.io/h2c', 'HTTP2'],
  ['http', '', 'my.own/protocol', 'HTTP'],
])('port %s, protocol %j, appProtocol %j is %s', (name, protocol, appProtocol, expected) => expect(protocolOf(name, protocol, appProtocol)).toBe(expected));

it('does not sniff where the server speaks first', () => expect(protocolOf('db', '', '', 3306)).toBe('TCP'));
