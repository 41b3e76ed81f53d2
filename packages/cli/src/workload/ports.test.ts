import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { freePorts } from './ports.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function occupy(port: number): Promise<void> {
  const server = createServer();
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

test('all different, below those that the system gives to outgoing connections', async () => {
  const ports = await freePorts(40);
  expect(new Set(ports).size).toBe(40);
  expect(ports.every((port) => port >= 16_000 && port < 32_768)).toBe(true);
});

test('those that are wished for, unless they are in use', async () => {
  const [first = 0, second = 0] = await freePorts(2);
  await occupy(second);
  const [again, other] = await freePorts(2, { preferred: [first, second] });
  expect(again).toBe(first);
  expect(other).not.toBe(second);
});

test('none that was promised, even where it is free and wished for', async () => {
  const [mine = 0] = await freePorts(1);
  const [given] = await freePorts(1, { preferred: [mine], promised: () => new Set([mine]) });
  expect(given).not.toBe(mine);
});

test('many who search at once from the same place get different ones', async () => {
  const promises = new Set<number>();
  const one = (): Promise<number[]> =>
    freePorts(3, { promised: () => new Set(promises), promise: (ports) => ports.forEach((port) => void promises.add(port)), random: () => 0.5 });
  const ports = (await Promise.all(Array.from({ length: 10 }, one))).flat();
  expect(new Set(ports).size).toBe(30);
});

test('are in use until they are promised', async () => {
  const [port] = await freePorts(1, {
    promise: async ([held = 0]) => expect(occupy(held)).rejects.toMatchObject({ code: 'EADDRINUSE' }),
  });
  await occupy(port ?? 0);
});
