import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { node, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { proxyPid } from '../harness/processes.ts';
import { Wire } from '../harness/wire.ts';

/** Twenty minutes with OUTRIGGER_LONG. */
const long = process.env['OUTRIGGER_LONG'] !== undefined;
const soakMs = long ? 20 * 60_000 : 60_000;
/** Heaps and pools have their size by then. */
const settledShare = 0.3;
/** More between the second third and the end than garbage that has not been collected yet. */
const maxGrowthMb = 40;
const sampleMs = 1_000;

let mesh: TestMesh | undefined;
afterEach(async () => {
  await mesh?.stop();
  mesh = undefined;
}, 60_000);

const pssMb = (pid: number): number => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]) / 1024;
const handles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One kind of call, over and over. A failure is a test's failure, unless the call itself cut it short. */
type Habit = (turn: number) => Promise<void>;

function habits(web: RunningWorkload): Readonly<Record<string, Habit>> {
  const open = (): Promise<Wire> => Wire.open(web.proxy);
  const head = (method: string, path: string, ...lines: string[]): string =>
    [`${method} http://echo:8080${path} HTTP/1.1`, 'Host: echo:8080', ...lines, '', ''].join('\r\n');
  return {
    async small(turn) {
      const answer = await web.call('http://echo:8080/echo', turn % 2 === 0 ? {} : { method: 'POST', body: 'x'.repeat(turn % 20_000) });
      expect(answer.status).toBe(200);
    },
    async large() {
      const { status, headers, body } = await web.call('http://echo:8080/bytes/300000');
      expect({ status, signed: headers['proxy-status'], some: body.length > 0 }).toEqual({ status: 200, signed: undefined, some: true });
    },
    /** A client that goes away in the midst of an answer, or of its request. */
    async cut(turn) {
      const wire = await open();
      wire.send(turn % 2 === 0 ? head('GET', '/bytes/3000000') : head('POST', '/digest', 'Content-Length: 100000') + 'x'.repeat(5_000));
      if (turn % 2 === 0) await wire.expect(/^HTTP\/1\.1 200/);
      wire.socket.resetAndDestroy();
    },
    async websocket() {
      const wire = await open();
      wire.send(head('GET', '/chat', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'));
      await wire.expect(/^HTTP\/1\.1 101 (?:.+\r\n)*\r\n/);
      for (let i = 0; i < 5; i++) {
        wire.send('\x81\x82\0\0\0\0hi');
        await wire.expect(/^\x81\x02hi/);
      }
      wire.socket.end();
      await wire.rest();
      wire.close();
    },
    async tcp(turn) {
      const wire = await open();
      wire.send('CONNECT bank:8080 HTTP/1.1\r\nHost: bank:8080\r\n\r\n');
      await wire.expect(/^HTTP\/1\.1 200 (?:.+\r\n)*\r\n/);
      await wire.expect(/^220 bank ready\r\n/);
      for (let i = 0; i < 5; i++) {
        wire.send(`echo ${i}\n`);
        await wire.expect(new RegExp(`^${i}\n`));
      }
      if (turn % 2 === 0) wire.socket.resetAndDestroy();
      else wire.close();
    },
  };
}

/** Least squares: how much it grows, for each sample. */
function slope(values: readonly number[]): number {
  const meanX = (values.length - 1) / 2;
  const meanY = values.reduce((sum, value) => sum + value, 0) / values.length;
  let above = 0;
  let below = 0;
  values.forEach((value, x) => {
    above += (x - meanX) * (value - meanY);
    below += (x - meanX) ** 2;
  });
  return above / below;
}

test(
  'memory stays flat, and no handle is left, under requests, streams, tunnels and resets',
  async () => {
    mesh = await TestMesh.start();
    const [web] = await Promise.all([
      mesh.run({ name: 'web', client: true }),
      mesh.run({ name: 'echo' }),
      mesh.run({
        name: 'bank',
        protocol: 'tcp',
        command: () => [node, join(fileURLToPath(new URL('..', import.meta.url)), 'harness/tcp-app.mjs')],
      }),
    ]);
    const proxies = ['web', 'echo', 'bank'].map((instance) => proxyPid(mesh!.state, instance));
    const before = proxies.map(handles);
    await until('a first answer', async () => (await web.call('http://echo:8080/echo')).status === 200);
    const endMs = performance.now() + soakMs;
    const turns: Record<string, number> = {};
    const work = async (name: string, habit: Habit): Promise<void> => {
      for (let turn = 0; performance.now() < endMs; turn++) {
        await habit(turn);
        turns[name] = (turns[name] ?? 0) + 1;
        await pause(5);
      }
    };
    const samples: number[][] = proxies.map(() => []);
    const watch = async (): Promise<void> => {
      while (performance.now() < endMs) {
        for (const [index, pid] of proxies.entries()) samples[index]!.push(pssMb(pid));
        await pause(sampleMs);
      }
    };
    await Promise.all([watch(), ...Object.entries(habits(web)).flatMap(([name, habit]) => [work(name, habit), work(name, habit)])]);
    const growth = samples.map((all) => {
      const settled = all.slice(Math.floor(all.length * settledShare));
      return slope(settled) * settled.length;
    });
    console.log(
      `soak: ${JSON.stringify(turns)}; PSS at its end ${samples.map((all) => `${all.at(-1)!.toFixed(0)} MB`).join(', ')}; grew by ${growth.map((mb) => mb.toFixed(1)).join(', ')} MB since it had settled`,
    );
    expect(Math.max(...growth)).toBeLessThan(maxGrowthMb);
    // Connections between the sidecars stay, and each client's ends with it.
    await until('every client’s connection is gone', async () => proxies.every((pid, index) => handles(pid) <= before[index]! + 20), 20_000);
    for (const [name, count] of Object.entries(turns)) expect({ name, enough: count > 50 }).toEqual({ name, enough: true });
  },
  soakMs + 120_000,
);
