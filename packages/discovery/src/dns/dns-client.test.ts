import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { FakeDns } from '../testing/fake-dns.ts';
import { createDnsClient, type DnsClient, dnsServerOf } from './dns-client.ts';

let dns: FakeDns;
let clock: FakeClock;
let client: DnsClient;

beforeEach(async () => {
  dns = await FakeDns.start();
  clock = new FakeClock();
  client = createDnsClient({ clock, servers: () => [dns.server] });
});
afterEach(() => {
  client.close();
  dns.stop();
});

test('an answer that is too long for a datagram is fetched by TCP', async () => {
  dns.truncates = true;
  dns.zone = Array.from({ length: 1_000 }, (_, index) => ({ name: '_http._tcp.a.example', ttlS: 5, data: `SRV 0 1 80 host-${index}.a.example` }));
  const outcome = await client.query('_http._tcp.a.example', 'SRV');
  expect(outcome).toMatchObject({ response: { truncated: false, answers: { length: 1_000 } } });
  expect(dns.asked.map(({ over }) => over)).toEqual(['udp', 'tcp']);
});

describe('an answer of several services, which may be cut short', () => {
  beforeEach(() => {
    dns.cutsShort = true;
    dns.zone = Array.from({ length: 5 }, (_, index) => ({ name: '_http._tcp.a.example', ttlS: 5, data: `SRV 0 1 80 host-${index}.a.example` }));
  });
  const found = async (): Promise<number | string> => {
    const outcome = await client.query('_http._tcp.a.example', 'SRV');
    return 'failed' in outcome ? outcome.failed : outcome.response.answers.length;
  };

  test('is asked for by TCP', async () => {
    expect(await found()).toBe(5);
  });

  test('counts as it is where the server has no TCP, which is tried once a minute', async () => {
    dns.withoutTcp = true;
    expect([await found(), await found(), dns.connections]).toEqual([3, 3, 1]);
    clock.advance(60_000);
    expect([await found(), dns.connections]).toEqual([3, 2]);
  });

  test('does not count where the server has TCP and fails', async () => {
    expect(await found()).toBe(5);
    dns.withoutTcp = true;
    expect(await found()).toMatch(/half an answer|ECONNRESET/);
  });

  test('of fewer is not', async () => {
    dns.zone.splice(2);
    expect(await found()).toBe(2);
    expect(dns.asked.map(({ over }) => over)).toEqual(['udp']);
  });
});

test.each([false, true])('a server that knows no EDNS is asked without (where it answers with no more than a header: %s)', async (headerAlone) => {
  dns.withoutEdns = true;
  if (headerAlone) dns.shortens = (answer) => ((answer[3]! & 15) === 1 ? Buffer.concat([answer.subarray(0, 4), Buffer.alloc(8)]) : answer);
  dns.zone = [{ name: 'a.example', ttlS: 5, data: 'A 127.0.0.1' }];
  expect(await client.query('a.example', 'A')).toMatchObject({ response: { answers: [{ address: '127.0.0.1' }] } });
});

describe('a forged answer is passed over', () => {
  const forged = (change: (answer: Buffer) => void) => (_query: Buffer, answer: Buffer) => {
    const other = Buffer.from(answer);
    change(other);
    // Another address at its end, so that it would be seen.
    other[other.length - 1] = 66;
    return [other];
  };

  test.each<[string, FakeDns['forge']]>([
    ['with another id', forged((answer) => answer.writeUInt16BE(answer.readUInt16BE(0) ^ 1, 0))],
    ['to another question', forged((answer) => answer.write('b', 13))],
    ['of another type', forged((answer) => answer.writeUInt16BE(28, 12 + 'a.example'.length + 2))],
    ['that is a question', forged((answer) => answer.writeUInt16BE(0x0100, 2))],
    ['without its question', (query) => [Buffer.concat([query.subarray(0, 2), Buffer.from('81800000000100000000000001000100000005000442424242', 'hex')])]],
    ['that cannot be read', () => [Buffer.from('garbage'), Buffer.alloc(0)]],
  ])('%s', async (_, forge) => {
    dns.zone = [{ name: 'a.example', ttlS: 5, data: 'A 127.0.0.1' }];
    dns.forge = forge;
    expect(await client.query('a.example', 'A')).toMatchObject({ response: { answers: [{ address: '127.0.0.1' }] } });
  });

  test('from another port', async () => {
    const stranger = createSocket('udp4').bind(0, '127.0.0.1');
    await once(stranger, 'listening');
    dns.zone = [{ name: 'a.example', ttlS: 5, data: 'A 127.0.0.1' }];
    // All of it is right, and it is sent first.
    dns.onQuery = (query, port) => {
      const head = Buffer.concat([query.subarray(0, 2), Buffer.from('81800001000100000000', 'hex')]);
      const record = Buffer.from('c00c000100010000003c00047f000042', 'hex');
      stranger.send(Buffer.concat([head, query.subarray(12, 12 + 'a.example'.length + 2 + 4), record]), port, '127.0.0.1');
    };
    expect(await client.query('a.example', 'A')).toMatchObject({ response: { answers: [{ address: '127.0.0.1' }] } });
    stranger.close();
  });
});

test('that nothing came but what cannot be read is said', async () => {
  dns.shortens = () => Buffer.from('garbage');
  const asked = client.query('a.example', 'A');
  for (const times of [1, 2]) {
    await dns.untilAsked(times);
    // It is on its way: loopback.
    await setTimeout(50);
    clock.advance(2_000);
  }
  expect(await asked).toEqual({ failed: `an answer that cannot be read from 127.0.0.1:${dns.server.port}` });
});

describe('where a server does not answer', () => {
  test('it is asked once more, and then that is said', async () => {
    dns.silent = true;
    const asked = client.query('a.example', 'A');
    await dns.untilAsked(1);
    clock.advance(2_000);
    await dns.untilAsked(2);
    clock.advance(2_000);
    expect(await asked).toEqual({ failed: `no answer from 127.0.0.1:${dns.server.port}` });
  });

  test('the next one is asked', async () => {
    const other = await FakeDns.start();
    other.zone = [{ name: 'a.example', ttlS: 5, data: 'A 127.0.0.2' }];
    dns.rcode = 2;
    const both = createDnsClient({ clock, servers: () => [dns.server, other.server] });
    expect(await both.query('a.example', 'A')).toMatchObject({ response: { answers: [{ address: '127.0.0.2' }] } });
    other.stop();
  });

  test('the others are asked before it for half a minute', async () => {
    dns.silent = true;
    const other = await FakeDns.start();
    other.zone = [{ name: 'a.example', ttlS: 5, data: 'A 127.0.0.2' }];
    const both = createDnsClient({ clock, servers: () => [dns.server, other.server] });
    const first = both.query('a.example', 'A');
    await dns.untilAsked(1);
    clock.advance(2_000);
    await first;
    await both.query('a.example', 'A');
    expect([dns.asked.length, other.asked.length, clock.timers]).toEqual([1, 2, 0]);
    clock.advance(30_000);
    dns.silent = false;
    await both.query('a.example', 'A');
    expect([dns.asked.length, other.asked.length]).toEqual([2, 2]);
    other.stop();
  });

  test('what each of several said is said', async () => {
    const other = await FakeDns.start();
    dns.rcode = 2;
    other.rcode = 5;
    const both = createDnsClient({ clock, servers: () => [dns.server, other.server] });
    expect(await both.query('a.example', 'A')).toEqual({ failed: `SERVFAIL from 127.0.0.1:${dns.server.port}, REFUSED from 127.0.0.1:${other.server.port}` });
    other.stop();
  });

  test('that cannot be asked at all that is said, and nothing is left behind', async () => {
    const none = createDnsClient({ clock, servers: () => [{ host: '127.0.0.1', port: 70_000 }] });
    expect(await none.query('a.example', 'A')).toEqual({ failed: 'ERR_SOCKET_BAD_PORT from 127.0.0.1:70000' });
    expect(clock.timers).toBe(0);
    clock.advance(5_000);
  });

  test('with nobody there that is said at once', async () => {
    const gone = createDnsClient({ clock, servers: () => [{ host: '127.0.0.1', port: closedPort }] });
    const closedPort = dns.server.port;
    dns.stop();
    expect(await gone.query('a.example', 'A')).toEqual({ failed: `refused from 127.0.0.1:${closedPort}` });
    dns = await FakeDns.start();
  });

  test('SERVFAIL is nobody who could say, NXDOMAIN an answer', async () => {
    expect(await client.query('b.example', 'A')).toMatchObject({ response: { rcode: 3 } });
    dns.rcode = 2;
    expect(await client.query('b.example', 'A')).toEqual({ failed: `SERVFAIL from 127.0.0.1:${dns.server.port}` });
  });

  test('what is asked ends with the client', async () => {
    dns.silent = true;
    const asked = client.query('a.example', 'A');
    await dns.untilAsked(1);
    client.close();
    expect(await asked).toMatchObject({ failed: 'ended' });
  });
});

test('no more than 64 questions are on their way', async () => {
  dns.silent = true;
  const asked = Array.from({ length: 70 }, (_, index) => client.query(`host-${index}.example`, 'A'));
  await dns.untilAsked(64);
  // Each has a time that it has.
  expect(clock.timers).toBe(64);
  dns.silent = false;
  clock.advance(2_000);
  await Promise.all(asked);
});

test.each([
  ['127.0.0.1', '127.0.0.1', 53],
  ['127.0.0.1:8600', '127.0.0.1', 8600],
  ['::1', '::1', 53],
  ['[::1]:8600', '::1', 8600],
  ['[::1]', '::1', 53],
  ['fe80::1%eth0', 'fe80::1%eth0', 53],
  ['[fe80::1%eth0]:8600', 'fe80::1%eth0', 8600],
])('%s is a server', (text, host, port) => expect(dnsServerOf(text)).toEqual({ host, port }));
test.each(['', '1.2', '999.1.1.1', '[127.0.0.1]:53', '1:2:3', 'dns.example', '127.0.0.1:0', '127.0.0.1:70000', '[::1'])('%s is none', (text) =>
  expect(dnsServerOf(text)).toBeUndefined(),
);
