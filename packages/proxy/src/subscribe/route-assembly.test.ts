import type { JsonObject } from '@bufbuild/protobuf';
import { atOnce } from '@outrigger/xds/slices';
import { beforeEach, describe, expect, it } from 'vitest';
import { RouteSlot, type RouteWaiter } from '../engine/route-slot.ts';
import { describeErrors } from '../routing/compile-result.ts';
import { routeConfiguration, routeTo, virtualHost } from '../testing/messages.ts';
import { MAX_HOSTS_ON_DEMAND, RouteAssembly, VIRTUAL_HOST_IDLE_MS } from './route-assembly.ts';

class Waiter implements RouteWaiter {
  readonly heard: boolean[] = [];
  onRoutes(given: boolean): void {
    this.heard.push(given);
  }
}

let nowMs: number;
let wanted: string[];
let dropped: string[];
let slot: RouteSlot;
let assembly: RouteAssembly;

beforeEach(() => {
  nowMs = 0;
  wanted = [];
  dropped = [];
  slot = new RouteSlot('http_proxy', null);
  assembly = new RouteAssembly(slot, { want: (name) => wanted.push(name), drop: (names) => dropped.push(...names), nowMs: () => nowMs });
});

const VHDS: JsonObject = { name: 'http_proxy', vhds: { configSource: { ads: {} } } };

function configure(json: JsonObject = VHDS): ReturnType<RouteAssembly['configure']> {
  const result = assembly.configure(routeConfiguration(json));
  if (result.ok) assembly.publish(result.value);
  return result;
}

function host(name: string, domains: string[], routes: JsonObject[] = [routeTo('c')]) {
  return virtualHost({ name, domains, routes });
}

type Given = readonly [name: string, domains: string[], aliases?: readonly string[], routes?: JsonObject[]];

/** What is refused, by name: why. */
function update(given: readonly Given[], removed: readonly string[] = []): Record<string, string> {
  const added = given.map(([name, domains, aliases = [], routes]) => ({ name: `http_proxy/${name}`, message: host(name, domains, routes), aliases }));
  const refused = atOnce(assembly.updateSteps(added, removed));
  return Object.fromEntries(refused.map(({ name, errors }) => [name.slice('http_proxy/'.length), describeErrors(errors)]));
}

/** As RouteSubscription does it. */
function give(...given: Given): void {
  expect(update([given])).toEqual({});
  assembly.publish(assembly.pending!);
}

/** As RouteSubscription does it. */
function sweep(): void {
  if (assembly.sweep(nowMs)) atOnce(assembly.renewSteps());
}

function fill(): void {
  for (let i = 0; i < MAX_HOSTS_ON_DEMAND; i++) {
    nowMs = i;
    assembly.request(`h${i}`, new Waiter());
    give(`h${i}`, [`h${i}`]);
  }
}

function inForce(...domains: readonly string[]): (string | undefined)[] {
  return domains.map((domain) => slot.table!.findVirtualHost(domain)?.name);
}

describe('a virtual host on demand', () => {
  it('is asked for once, and wakes all who wait when it is in effect', () => {
    configure();
    const waiters = [new Waiter(), new Waiter()];
    for (const waiter of waiters) expect(assembly.request('Orders:8080', waiter)).toBe(true);
    expect(wanted).toEqual(['http_proxy/orders:8080']);
    expect(update([['orders:8080', ['orders:8080']]])).toEqual({});
    // Its clusters are still fetched: not in effect yet.
    expect(waiters.map(({ heard }) => heard)).toEqual([[], []]);
    expect(slot.table!.findVirtualHost('orders:8080')).toBeNull();
    assembly.publish(assembly.pending!);
    expect(waiters.map(({ heard }) => heard)).toEqual([[true], [true]]);
    expect(slot.table!.findVirtualHost('orders:8080')?.name).toBe('orders:8080');
  });

  it('answers for its other names too', () => {
    configure();
    const waiter = new Waiter();
    assembly.request('orders.default:8080', waiter);
    give('orders:8080', ['orders:8080', 'orders.default:8080'], ['http_proxy/orders.default:8080']);
    expect(waiter.heard).toEqual([true]);
  });

  it('that does not exist wakes all who wait with the bad news, and is known for that from then on', () => {
    configure();
    const waiter = new Waiter();
    assembly.request('nobody', waiter);
    const before = assembly.pending;
    update([], ['http_proxy/nobody']);
    expect(assembly.pending).toBe(before);
    expect(waiter.heard).toEqual([false]);
    expect(assembly.request('nobody', new Waiter())).toBe(false);
    // It may come all the same: it is still subscribed to.
    expect(dropped).toEqual([]);
    give('nobody', ['nobody']);
    expect(slot.table!.findVirtualHost('nobody')).not.toBeNull();
  });

  it('that a request no longer waits for wakes nobody', () => {
    configure();
    const waiter = new Waiter();
    assembly.request('orders', waiter);
    assembly.cancel(waiter);
    give('orders', ['orders']);
    expect(waiter.heard).toEqual([]);
  });

  it('with a name that no DNS would have is not asked for', () => {
    configure();
    expect(assembly.request('x'.repeat(263), new Waiter())).toBe(false);
    expect(assembly.request('', new Waiter())).toBe(false);
    expect(wanted).toEqual([]);
  });

  it('that cannot be compiled changes nothing, and the one before stays', () => {
    configure();
    give('orders', ['orders']);
    const before = slot.table;
    expect(update([['orders', ['orders'], [], [{ match: { prefix: '/' } }]]]).orders).toContain('needs one of route');
    assembly.publish(assembly.pending!);
    expect(slot.table).toBe(before);
  });

  it('whose domain another one has already is refused, and the other stays', () => {
    configure();
    give('orders', ['orders']);
    expect(update([['thief', ['orders']]]).thief).toContain('"orders" is a domain of another virtual host already');
    give('payment', ['payment']);
    expect(slot.table!.findVirtualHost('orders')?.name).toBe('orders');
    expect(slot.table!.findVirtualHost('payment')?.name).toBe('payment');
  });

  it('takes the place of one under another name that goes with the same update, without a moment between', () => {
    configure();
    assembly.request('orders:8080', new Waiter());
    give('orders:8080', ['orders:8080']);
    const before = slot.table!.findVirtualHost('orders:8080');
    const service: Given = ['orders.default:8080', ['orders:8080', 'orders.default:8080'], ['http_proxy/orders:8080', 'http_proxy/orders.default:8080']];
    expect(update([service])['orders.default:8080']).toContain('another virtual host');
    expect(update([service], ['http_proxy/orders:8080'])).toEqual({});
    expect(slot.table!.findVirtualHost('orders:8080')).toBe(before);
    assembly.publish(assembly.pending!);
    expect(slot.table!.findVirtualHost('orders:8080')?.name).toBe('orders.default:8080');
  });

  it('that replaces another and is wrong leaves the other in force, also where something else of the update is good', () => {
    configure();
    give('orders:8080', ['orders:8080']);
    give('payment:8080', ['payment:8080']);
    const thief: Given = ['orders.default:8080', ['orders:8080', 'payment:8080'], ['http_proxy/orders:8080']];
    expect(Object.keys(update([thief, ['more:8080', ['more:8080']]], ['http_proxy/orders:8080']))).toEqual(['orders.default:8080']);
    assembly.publish(assembly.pending!);
    expect(inForce('orders:8080', 'payment:8080', 'more:8080')).toEqual(['orders:8080', 'payment:8080', 'more:8080']);
  });

  it('gives a domain to another and takes one of that, all in one update', () => {
    configure();
    give('a', ['a', 'x']);
    give('b', ['b', 'y']);
    const a: Given = ['a', ['a', 'y']];
    expect(update([a, ['b', ['b', 'x']]])).toEqual({});
    assembly.publish(assembly.pending!);
    expect(inForce('x', 'y')).toEqual(['b', 'a']);
    expect(Object.keys(update([a, ['c', ['a', 'c']]]))).toEqual(['c']);
    give('d', ['d']);
    expect(inForce('x', 'y', 'c', 'd')).toEqual(['b', 'a', undefined, 'd']);
  });

  it('that is wrong holds up what depends on it, and nothing else', () => {
    configure();
    for (const name of ['a', 'b', 'c', 'd']) give(name, [name, `${name}.x`]);
    const given: Given[] = [
      // Each would have a domain of the next, and the last is no good: it keeps its own, so the one before it does, and so on.
      ['a', ['a', 'b.x']],
      ['b', ['b', 'c.x']],
      ['c', ['c', 'c', 'a.x']],
      // They are let down by none of these.
      ['d', ['d', 'new', 'd.x']],
      ['e', ['e', 'E.x']],
      ['f', ['e', 'f']],
      ['g', ['f']],
    ];
    const refused = update(given);
    expect(Object.keys(refused).sort()).toEqual(['a', 'b', 'c', 'f']);
    expect(refused.c).toContain('stands there twice');
    assembly.publish(assembly.pending!);
    expect(inForce('a.x', 'b.x', 'c.x', 'd.x', 'new', 'e.x', 'f')).toEqual(['a', 'b', 'c', 'd', 'd', 'e', 'g']);
  });

  it('needs its route configuration first', () => {
    expect(update([['orders', ['orders']]]).orders).toContain('has not come yet');
  });
});

describe('a new route configuration', () => {
  it('keeps what came on demand, compiled anew under it', () => {
    configure();
    give('orders', ['orders']);
    const before = slot.table!.findVirtualHost('orders');
    configure({ ...VHDS, responseHeadersToAdd: [{ header: { key: 'x', value: '1' } }] });
    const after = slot.table!.findVirtualHost('orders');
    expect([after?.name, after === before]).toEqual(['orders', false]);
  });

  it('that is wrong changes nothing', () => {
    configure();
    give('orders', ['orders']);
    const before = slot.table;
    expect(configure({ ...VHDS, virtualHosts: [{ name: 'bad', domains: [], routes: [] }] }).ok).toBe(false);
    expect(slot.table).toBe(before);
  });

  it('without VHDS asks for nothing on demand', () => {
    configure();
    expect(slot.demand).toBe(assembly);
    configure({ name: 'http_proxy', virtualHosts: [{ name: 'all', domains: ['*'], routes: [routeTo('c')] }] });
    expect(slot.demand).toBeNull();
  });

  it('does not come after a newer one', () => {
    const first = assembly.configure(routeConfiguration(VHDS));
    const second = assembly.configure(routeConfiguration({ ...VHDS, virtualHosts: [{ name: 'new', domains: ['new'], routes: [routeTo('c')] }] }));
    if (!first.ok || !second.ok) throw new Error('refused');
    assembly.publish(second.value);
    assembly.publish(first.value);
    expect(slot.table).toBe(second.value);
  });
});

describe('what is no longer used', () => {
  it('is forgotten after its idle time, with all its names; what requests go to stays', () => {
    configure();
    for (const name of ['used', 'idle', 'idle.default']) assembly.request(name, new Waiter());
    give('used', ['used']);
    give('idle', ['idle', 'idle.default'], ['http_proxy/idle.default']);
    for (; nowMs < VIRTUAL_HOST_IDLE_MS; nowMs += 60_000) {
      assembly.touch(slot.table!.findVirtualHost('used')!);
      sweep();
    }
    sweep();
    expect(dropped.sort()).toEqual(['http_proxy/idle', 'http_proxy/idle.default']);
    expect(slot.table!.findVirtualHost('idle')).toBeNull();
    expect(slot.table!.findVirtualHost('used')).not.toBeNull();
    // It comes back when somebody asks for it again.
    expect(assembly.request('idle', new Waiter())).toBe(true);
    expect(wanted.at(-1)).toBe('http_proxy/idle');
  });

  it('that does not exist is forgotten too: a name asked for once is not subscribed to for ever', () => {
    configure();
    assembly.request('typo', new Waiter());
    update([], ['http_proxy/typo']);
    for (nowMs = 0; nowMs <= VIRTUAL_HOST_IDLE_MS; nowMs += 60_000) sweep();
    expect(dropped).toEqual(['http_proxy/typo']);
  });

  it('makes room when too many hosts are asked for: the one unused for longest goes', () => {
    configure();
    fill();
    expect(assembly.request('one-more', new Waiter())).toBe(true);
    expect(dropped).toEqual(['http_proxy/h0']);
    // The server no longer says what becomes of it.
    sweep();
    expect(inForce('h0', 'h1')).toEqual([undefined, 'h1']);
  });

  it('is not waited for: tables become whole while each moment another host is asked for', () => {
    configure();
    fill();
    const steps = assembly.updateSteps([{ name: 'http_proxy/late', message: host('late', ['late']), aliases: [] }], []);
    let count = 0;
    while (steps.next().done !== true) {
      count += 1;
      if (count % 100 === 0) assembly.request(`more${count}`, { onRoutes: () => {} });
    }
    expect(count).toBeLessThan(2 * MAX_HOSTS_ON_DEMAND);
    assembly.publish(assembly.pending!);
    expect(inForce('late')).toEqual(['late']);
    const forgotten = dropped.map((name) => name.slice('http_proxy/'.length));
    expect(forgotten.length).toBeGreaterThan(5);
    sweep();
    expect(inForce(...forgotten, 'late')).toEqual([...forgotten.map(() => undefined), 'late']);
  });

  it('a host that is waited for is never the one to go; if all are, the new one is not found', () => {
    configure();
    for (let i = 0; i < MAX_HOSTS_ON_DEMAND; i++) assembly.request(`h${i}`, new Waiter());
    expect(assembly.request('one-more', new Waiter())).toBe(false);
    expect(dropped).toEqual([]);
  });

  it('all of it goes when the listener goes, and those who wait are told', () => {
    configure();
    const waiter = new Waiter();
    assembly.request('orders', waiter);
    assembly.close();
    expect([waiter.heard, dropped]).toEqual([[false], ['http_proxy/orders']]);
  });
});
