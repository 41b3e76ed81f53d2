import { expect, test } from 'vitest';
import { boundPort, gatewayOptions } from './options.ts';

test('where ports of resources are bound', () => {
  const options = gatewayOptions({ address: '127.0.0.1', portMap: ['80=8080'], portOffset: '1000' });
  expect([boundPort(options, 80), boundPort(options, 81)]).toEqual([8080, 1081]);
  expect(boundPort(gatewayOptions({ address: '::' }), 443)).toBe(443);
});

test.each([
  [{ address: 'here' }, '--address'],
  [{ address: '0.0.0.0', portMap: ['80'] }, '--port-map'],
  [{ address: '0.0.0.0', portMap: ['80=70000'] }, '--port-map'],
  [{ address: '0.0.0.0', portOffset: 'x' }, '--port-offset'],
  [{ address: '0.0.0.0', certificates: '/nowhere/at/all' }, '--certificates'],
])('%j is refused', (given, option) => {
  expect(() => gatewayOptions(given)).toThrow(option);
});
