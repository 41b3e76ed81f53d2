import { once } from 'node:events';
import { closeSync } from 'node:fs';
import net from 'node:net';
import { expect, it } from 'vitest';
import { descriptorOf, loadSocketCalls } from './socket-calls.ts';

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const ON = Buffer.from([1, 0, 0, 0]);

it.runIf(process.platform === 'linux')('sets an option that accepted sockets inherit, and says why where it cannot', async () => {
  const calls = await loadSocketCalls();
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const fd = descriptorOf(server);
  expect(calls.getOption(fd, SOL_SOCKET, SO_KEEPALIVE, 4)).toEqual(Buffer.alloc(4));
  expect(calls.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, ON)).toBe('');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  expect(calls.getOption(descriptorOf(accepted), SOL_SOCKET, SO_KEEPALIVE, 4)).toEqual(ON);
  expect(calls.setOption(fd, SOL_SOCKET, 9999, ON)).toBe('ENOPROTOOPT');
  expect(calls.setOption(-1, SOL_SOCKET, SO_KEEPALIVE, ON)).toBe('EBADF');
  expect(calls.getOption(fd, 9999, 1, 4)).toBeNull();
  const copy = calls.duplicate(fd);
  expect(copy).toBeGreaterThan(2);
  expect(calls.getOption(copy, SOL_SOCKET, SO_KEEPALIVE, 4)).toEqual(ON);
  closeSync(copy);
  expect(calls.duplicate(-1)).toBe(-1);
  client.destroy();
  accepted.destroy();
  server.close();
});
