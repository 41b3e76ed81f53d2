import type { SrvEndpoint } from '@outrigger/resources';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../testing/fake-clock.ts';
import { FakeDns, type ZoneRecord } from '../testing/fake-dns.ts';
import { createDnsClient } from './dns-client.ts';
import { createSrvWatch, type SrvStore, type SrvWatch } from './srv-watch.ts';

const NAME = '_http._tcp.orders.example';

let dns: FakeDns;
let clock: FakeClock;
let watch: SrvWatch;
let told: string[][];

const srv = (data: string, ttlS = 5, name = NAME): ZoneRecord => ({ name, ttlS, data: `SRV ${data}` });
const host = (name: string, address: string, ttlS = 5): ZoneRecord => ({ name, ttlS, data: `${address.includes(':') ? 'AAAA' : 'A'} ${address}` });

beforeEach(async () => {
  dns = await FakeDns.start();
  clock = new FakeClock();
  watch = start();
});
afterEach(() => {
  watch.close();
  dns.stop();
});

function start(store?: SrvStore): SrvWatch {
  const client = createDnsClient({ clock, servers: () => [dns.server] });
  const started = createSrvWatch({ clock, client, random: () => 0, ...(store === undefined ? {} : { store }) });
  told = [];
  started.onChange((owners) => told.push([...owners]));
  return started;
}

/** So many answers have been taken, of whatever kind. */
async function looked(times: number): Promise<void> {
  const { counts } = watch;
  while (counts.found + counts.absent + counts.failed < times) await new Promise((resolve) => setImmediate(resolve));
}

function want(...names: string[]): void {
  watch.want('orders', new Set(names));
}

const addresses = (): string[] | undefined => watch.resolved(NAME)?.map(({ address, port }) => `${address}:${port}`);
const fault = (): string => [...watch.states()].map((state) => state.fault).join();
/** Until the next question. */
const waits = async (): Promise<number> => (await clock.nextTimer()) - clock.now();
const asked = (type: string): number => dns.asked.filter((one) => one.type === type).length;

describe('endpoints', () => {
  test('have the port, the priority and the weight of their record', async () => {
    dns.zone = [srv('0 30 8080 a.example'), srv('0 10 8081 b.example'), srv('5 7 80 c.example'), host('a.example', '10.0.0.1'), host('b.example', '10.0.0.2')];
    dns.zone.push(host('c.example', '2001:db8::1'));
    want(NAME);
    await looked(1);
    expect(watch.resolved(NAME)).toEqual([
      { address: '10.0.0.1', port: 8080, priority: 0, weight: 30 },
      { address: '10.0.0.2', port: 8081, priority: 0, weight: 10 },
      { address: '2001:db8::1', port: 80, priority: 5, weight: 7 },
    ]);
    expect(told).toEqual([['orders']]);
  });

  test('of one host share its weight, and a weight of 0 is little beside others', async () => {
    dns.zone = [srv('0 3 80 a.example'), srv('0 0 80 b.example'), host('a.example', '10.0.0.1'), host('a.example', '10.0.0.2'), host('b.example', '10.0.0.3')];
    want(NAME);
    await looked(1);
    expect(watch.resolved(NAME)?.map(({ weight }) => weight)).toEqual([24, 24, 1]);
  });

  test('without any weight are equal', async () => {
    dns.zone = [srv('0 0 80 a.example'), srv('0 0 80 b.example'), host('a.example', '10.0.0.1'), host('b.example', '10.0.0.2')];
    want(NAME);
    await looked(1);
    expect(watch.resolved(NAME)?.map(({ weight }) => weight)).toEqual([1, 1]);
  });

  test('that are written down twice are called as the first of them says', async () => {
    dns.zone = [srv('7 1 80 a.example'), srv('3 9 80 a.example'), srv('5 1 80 a.example'), host('a.example', '10.0.0.1')];
    want(NAME);
    await looked(1);
    expect(watch.resolved(NAME)).toEqual([{ address: '10.0.0.1', port: 80, priority: 3, weight: 9 }]);
  });

  test('are those of the name that it is another name of', async () => {
    dns.zone = [{ name: NAME, ttlS: 5, data: 'CNAME _web._tcp.example' }, srv('0 1 80 a.example', 5, '_web._tcp.example'), host('a.example', '10.0.0.1')];
    want(NAME);
    await looked(1);
    expect(addresses()).toEqual(['10.0.0.1:80']);
  });

  test('whose addresses come with the answer are not asked for', async () => {
    dns.zone = [srv('0 1 80 a.example')];
    dns.additional = [host('a.example', '10.0.0.1'), host('stranger.example', '10.6.6.6')];
    want(NAME);
    await looked(1);
    expect(addresses()).toEqual(['10.0.0.1:80']);
    expect(dns.asked).toMatchObject([{ type: 'SRV' }]);
  });

  test('are a thousand at most, and that some are left out is said', async () => {
    dns.truncates = true;
    dns.zone = Array.from({ length: 1_500 }, (_, index) => srv(`0 1 ${index + 1} a`, 5, '_h._tcp.a'));
    dns.additional = [host('a', '10.0.0.1')];
    want('_h._tcp.a');
    await looked(1);
    expect(watch.resolved('_h._tcp.a')).toHaveLength(1_000);
    expect(fault()).toBe('500 of its endpoints are left out: 1000 are used at most');
  });
});

describe('a name is asked for again', () => {
  beforeEach(() => {
    dns.zone = [srv('0 1 80 a.example', 20), host('a.example', '10.0.0.1', 7)];
  });

  test('when the first of its answers holds no longer, and a change is told', async () => {
    want(NAME);
    await looked(1);
    expect(await waits()).toBe(7_000);
    dns.zone[1] = host('a.example', '10.0.0.2', 7);
    clock.advance(7_000);
    await looked(2);
    expect(addresses()).toEqual(['10.0.0.2:80']);
    expect(told).toHaveLength(2);
  });

  test('and nothing is told where nothing has changed', async () => {
    want(NAME);
    await looked(1);
    clock.advance(7_000);
    await looked(2);
    expect(told).toHaveLength(1);
  });

  test('without its hosts, whose addresses hold for longer', async () => {
    dns.zone = [srv('0 1 80 a.example', 5), host('a.example', '10.0.0.1', 60)];
    want(NAME);
    await looked(1);
    clock.advance(5_000);
    await looked(2);
    expect([asked('SRV'), asked('A')]).toEqual([2, 1]);
  });

  test.each([
    ['after a second where it may not be kept', 0, 1_000],
    ['after five minutes where it holds for a day', 86_400, 300_000],
  ])('%s', async (_, ttlS, afterMs) => {
    dns.zone = [srv('0 1 80 a.example', ttlS), host('a.example', '10.0.0.1', ttlS)];
    want(NAME);
    await looked(1);
    expect(await waits()).toBe(afterMs);
  });

  test('once, whoever wants it, and not any longer once nobody does', async () => {
    want(NAME);
    watch.want('checkout', new Set([NAME]));
    await looked(1);
    expect(told).toEqual([['orders', 'checkout']]);
    expect(asked('SRV')).toBe(1);
    want();
    expect(addresses()).toEqual(['10.0.0.1:80']);
    watch.want('checkout', new Set());
    expect(addresses()).toBeUndefined();
    expect(clock.timers).toBe(0);
  });
});

describe('a failure', () => {
  beforeEach(async () => {
    dns.zone = [srv('0 1 80 a.example'), host('a.example', '10.0.0.1')];
    want(NAME);
    await looked(1);
  });

  test('leaves what was, is said, is tried again at ever longer intervals, and ends', async () => {
    dns.rcode = 2;
    clock.advance(5_000);
    let looks = 2;
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
      await looked(looks);
      looks += 1;
      expect(addresses()).toEqual(['10.0.0.1:80']);
      expect(fault()).toContain('SERVFAIL');
      expect(await waits()).toBe(waitMs);
      clock.advance(waitMs);
    }
    await looked(looks);
    dns.rcode = 0;
    dns.zone = [srv('0 1 80 a.example'), host('a.example', '10.0.0.2')];
    clock.advance(30_000);
    await looked(looks + 1);
    expect(addresses()).toEqual(['10.0.0.2:80']);
    expect(fault()).toBe('');
  });

  test('that nobody has thought of is one too', async () => {
    watch.close();
    const client = { query: () => Promise.reject(new Error('no more sockets')), close: () => {} };
    watch = createSrvWatch({ clock, client, random: () => 0 });
    want(NAME);
    await looked(1);
    expect(fault()).toBe('no more sockets');
    expect(await waits()).toBe(1_000);
  });

  test('of a host leaves its addresses, and the others change', async () => {
    dns.zone = [srv('0 1 80 a.example', 300), srv('0 1 80 b.example', 300), host('b.example', '10.0.0.2')];
    dns.refuses.add('a.example');
    clock.advance(5_000);
    await looked(2);
    expect(addresses()).toEqual(['10.0.0.1:80', '10.0.0.2:80']);
    expect(fault()).toMatch(/^a\.example could not be resolved \(SERVFAIL/);
  });
});

describe('a failure of one host', () => {
  test('does not make the others wait', async () => {
    dns.zone = [srv('0 1 80 a.example', 5), srv('0 1 80 b.example', 5), host('a.example', '10.0.0.1', 1), host('b.example', '10.0.0.2', 5)];
    want(NAME);
    await looked(1);
    dns.refuses.add('a.example');
    for (let looks = 2; looks < 10; looks++) {
      clock.advance(await waits());
      await looked(looks);
    }
    expect(fault()).toMatch(/^a\.example could not be resolved/);
    expect(await waits()).toBeLessThanOrEqual(5_000);
  });
});

test('addresses are not believed for longer where somebody sets the clock back', async () => {
  dns.zone = [NAME, '_other._tcp.example'].map((name) => srv('0 1 80 a.example', 300, name));
  dns.zone.push(host('a.example', '10.0.0.1', 60));
  want(NAME);
  await looked(1);
  clock.stall(-3_600_000);
  watch.want('checkout', new Set(['_other._tcp.example']));
  await looked(2);
  expect(asked('A')).toBe(2);
});

describe('that there is none', () => {
  beforeEach(async () => {
    dns.zone = [srv('0 1 80 a.example'), host('a.example', '10.0.0.1')];
    want(NAME);
    await looked(1);
  });

  test('is believed once it has been said for a minute', async () => {
    dns.zone = [{ name: NAME, ttlS: 600, data: 'SOA 20' }];
    clock.advance(5_000);
    await looked(2);
    expect(addresses()).toEqual(['10.0.0.1:80']);
    expect(fault()).toBe('there is no such name');
    for (const looks of [3, 4]) {
      clock.advance(20_000);
      await looked(looks);
    }
    expect(addresses()).toEqual(['10.0.0.1:80']);
    clock.advance(20_000);
    await looked(5);
    expect(addresses()).toEqual([]);
  });

  test('is said anew after a moment in which nobody could say', async () => {
    const none: ZoneRecord[] = [{ name: NAME, ttlS: 600, data: 'SOA 30' }];
    dns.zone = none;
    clock.advance(5_000);
    await looked(2);
    dns.rcode = 2;
    clock.advance(30_000);
    await looked(3);
    dns.rcode = 0;
    clock.advance(1_000);
    await looked(4);
    clock.advance(30_000);
    await looked(5);
    expect(addresses()).toEqual(['10.0.0.1:80']);
  });

  test('is believed at once where it is written down', async () => {
    dns.zone = [srv('0 0 0 .')];
    clock.advance(5_000);
    await looked(2);
    expect(addresses()).toEqual([]);
    expect(fault()).toBe('its SRV record says that there is no such service');
  });

  test('is believed at once of a name that had none', async () => {
    want('_none._tcp.example');
    await looked(2);
    expect(watch.resolved('_none._tcp.example')).toEqual([]);
  });
});

describe('over a restart', () => {
  const kept = new Map<string, unknown>();
  const store: SrvStore = {
    entries: () => kept,
    put: async (name, endpoints) => void kept.set(name, JSON.parse(JSON.stringify(endpoints))),
    delete: async (name) => void kept.delete(name),
  };

  beforeEach(() => kept.clear());

  test('what was is in use until DNS answers', async () => {
    dns.zone = [srv('0 1 80 a.example'), host('a.example', '10.0.0.1')];
    watch.close();
    watch = start(store);
    want(NAME);
    await looked(1);
    watch.close();

    watch = start(store);
    dns.rcode = 2;
    want(NAME);
    expect(addresses()).toEqual(['10.0.0.1:80']);
    await looked(1);
    expect(addresses()).toEqual(['10.0.0.1:80']);
    expect(fault()).toContain('SERVFAIL');
  });

  test('what nobody wants is let go', () => {
    const endpoints: SrvEndpoint[] = [{ address: '10.0.0.1', port: 80, priority: 0, weight: 1 }];
    kept
      .set('_old._tcp.example', endpoints)
      .set(NAME, endpoints)
      .set('_broken._tcp.example', [{ address: 'x' }]);
    watch.close();
    watch = start(store);
    want(NAME, '_broken._tcp.example');
    watch.forgetUnwanted();
    expect([...kept.keys()]).toEqual([NAME, '_broken._tcp.example']);
    expect(watch.resolved('_broken._tcp.example')).toBeUndefined();
  });
});
