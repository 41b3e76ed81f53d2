import { FastRandom } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import type { Runtime } from '../engine/runtime.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { DnsSettings } from '../xds/cluster-config.ts';
import type { EndpointConfig, EndpointSetConfig } from '../xds/endpoint-config.ts';
import type { Cluster } from './cluster.ts';
import { DnsDiscovery } from './dns-discovery.ts';
import type { Resolver } from './resolver.ts';

function endpoint(host: string, port = 80): EndpointConfig {
  return { text: `${host}:${port}`, address: { kind: 'socket', host, port }, hostname: '', weight: 1 } as unknown as EndpointConfig;
}

const DNS: DnsSettings = { family: 'auto', refreshMs: 5000, failureRefreshMs: 1000, failureMaxMs: 0, respectTtl: false, servers: [] };

class Scene {
  readonly clock = new FakeClock();
  readonly asked: string[] = [];
  /** What each name has; a text is why there is nothing. */
  readonly answers = new Map<string, readonly string[] | string>();
  readonly sets: string[][] = [];
  ttlMs: number | undefined;
  others: string[] = [];
  readonly hostnames: string[] = [];
  readonly discovery: DnsDiscovery;
  #held: (() => void)[] | undefined;

  constructor(discovery: 'strict-dns' | 'logical-dns', endpoints: readonly EndpointConfig[], dns: Partial<DnsSettings> = {}) {
    const resolver: Resolver = {
      resolve: (host, _family, done) => {
        this.asked.push(host);
        const answer = this.answers.get(host) ?? 'ENOTFOUND';
        const give = () => (typeof answer === 'string' ? done([], answer) : done(answer, '', this.ttlMs));
        if (this.#held === undefined) give();
        else this.#held.push(give);
      },
    };
    const cluster = {
      name: 'c',
      config: { discovery, endpoints: { endpoints, overprovisioningFactor: 140 }, dns: { ...DNS, ...dns } },
      setEndpoints: (set: EndpointSetConfig) => {
        this.sets.push(set.endpoints.map(({ text }) => text));
        this.others = set.endpoints.flatMap(({ additionalAddresses }) => (additionalAddresses ?? []).map((one) => (one.kind === 'socket' ? one.host : '')));
        this.hostnames.push(...set.endpoints.map(({ hostname }) => hostname));
      },
    };
    const runtime = { wheel: new TimerWheel(this.clock), resolver, random: new FastRandom([1, 2, 3, 4]) } as unknown as Runtime;
    this.discovery = new DnsDiscovery(runtime, cluster as unknown as Cluster);
  }

  hold(): () => void {
    this.#held = [];
    return () => {
      const held = this.#held!;
      this.#held = undefined;
      for (const give of held) give();
    };
  }
}

describe('STRICT_DNS', () => {
  it('makes an endpoint of every address of every name, and of addresses as they are', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example', 80), endpoint('b.example', 81), endpoint('10.0.0.9', 82), endpoint('::1', 83)]);
    scene.answers.set('a.example', ['10.0.0.1', '2001:db8::1']);
    scene.answers.set('b.example', ['10.0.0.2']);
    scene.discovery.start();
    expect(scene.asked).toEqual(['a.example', 'b.example']);
    expect(scene.sets).toEqual([['10.0.0.1:80', '[2001:db8::1]:80', '10.0.0.2:81', '10.0.0.9:82', '[::1]:83']]);
    // For auto_host_rewrite and TLS names.
    expect(scene.hostnames).toEqual(['a.example', 'a.example', 'b.example', '10.0.0.9', '::1']);
  });

  it('asks a name once that several endpoints have, and waits for all names', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example', 80), endpoint('a.example', 81), endpoint('b.example')]);
    scene.answers.set('a.example', ['10.0.0.1']);
    const release = scene.hold();
    scene.discovery.start();
    expect(scene.asked).toEqual(['a.example', 'b.example']);
    expect(scene.sets).toEqual([]);
    release();
    expect(scene.sets).toEqual([['10.0.0.1:80', '10.0.0.1:81']]);
  });

  it('asks again in time, and leaves the balancer alone where nothing has changed', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example')]);
    scene.answers.set('a.example', ['10.0.0.1', '10.0.0.2']);
    scene.discovery.start();
    scene.answers.set('a.example', ['10.0.0.2', '10.0.0.1']);
    scene.clock.advance(5020);
    expect(scene.asked).toHaveLength(2);
    expect(scene.sets).toHaveLength(1);
    scene.answers.set('a.example', ['10.0.0.2', '10.0.0.3']);
    scene.clock.advance(5020);
    expect(scene.sets.at(-1)).toEqual(['10.0.0.2:80', '10.0.0.3:80']);
  });

  it('keeps the last good addresses where a look-up fails, and asks again sooner', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example'), endpoint('b.example')]);
    scene.answers.set('a.example', ['10.0.0.1']);
    scene.answers.set('b.example', ['10.0.0.2']);
    scene.discovery.start();
    scene.answers.set('a.example', 'EAI_AGAIN');
    scene.answers.set('b.example', ['10.0.0.3']);
    scene.clock.advance(5020);
    expect(scene.sets.at(-1)).toEqual(['10.0.0.1:80', '10.0.0.3:80']);
    scene.answers.set('a.example', ['10.0.0.4']);
    scene.clock.advance(1020);
    expect(scene.sets.at(-1)).toEqual(['10.0.0.4:80', '10.0.0.3:80']);
    // The one that was well is asked when its own time has come.
    expect(scene.asked.toSorted()).toEqual(['a.example', 'a.example', 'a.example', 'b.example', 'b.example']);
  });

  it('is warm also where a name has nothing: its requests fail at once instead of waiting', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example')]);
    scene.discovery.start();
    expect(scene.sets).toEqual([[]]);
  });

  it('asks as often as the records hold, where the cluster says so', () => {
    for (const respectTtl of [true, false]) {
      const scene = new Scene('strict-dns', [endpoint('a.example')], { respectTtl });
      scene.answers.set('a.example', ['10.0.0.1']);
      scene.ttlMs = 1000;
      scene.discovery.start();
      scene.clock.advance(3_100);
      expect(scene.asked).toHaveLength(respectTtl ? 4 : 1);
    }
  });

  it('asks less and less often while it fails, within the longest time, and anew after an answer', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example')], { failureRefreshMs: 100, failureMaxMs: 1000 });
    scene.discovery.start();
    const times: number[] = [];
    let last = 1;
    for (let ms = 0; ms < 20_000; ms += 10) {
      scene.clock.advance(10);
      for (; last < scene.asked.length; last++) times.push(scene.clock.nowMs());
    }
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    expect(Math.max(...gaps.slice(0, 2))).toBeLessThanOrEqual(420);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(1_020);
    expect(Math.max(...gaps)).toBeGreaterThan(500);
    // Without the growth it would be 400 times.
    expect(scene.asked.length).toBeLessThan(100);
    scene.answers.set('a.example', ['10.0.0.1']);
    scene.clock.advance(1_020);
    const asked = scene.asked.length;
    scene.clock.advance(4_900);
    expect(scene.asked.length).toBeLessThanOrEqual(asked + 1);
  });

  it('asks nothing and changes nothing after its end', () => {
    const scene = new Scene('strict-dns', [endpoint('a.example')]);
    scene.answers.set('a.example', ['10.0.0.1']);
    const release = scene.hold();
    scene.discovery.start();
    scene.discovery.close();
    release();
    expect(scene.sets).toEqual([]);
    const other = new Scene('strict-dns', [endpoint('a.example')]);
    other.discovery.start();
    other.discovery.close();
    other.clock.advance(60_000);
    expect(other.asked).toHaveLength(1);
  });
});

describe('LOGICAL_DNS', () => {
  it('takes one address, and stays with it as long as it is among the answers', () => {
    const scene = new Scene('logical-dns', [endpoint('a.example')]);
    scene.answers.set('a.example', ['10.0.0.1', '10.0.0.2']);
    scene.discovery.start();
    expect(scene.sets).toEqual([['10.0.0.1:80']]);
    scene.answers.set('a.example', ['10.0.0.2', '10.0.0.1']);
    scene.clock.advance(5020);
    expect(scene.sets).toHaveLength(1);
    scene.answers.set('a.example', ['10.0.0.3', '10.0.0.2']);
    scene.clock.advance(5020);
    expect(scene.sets.at(-1)).toEqual(['10.0.0.3:80']);
  });

  it('reaches its one endpoint by all of its addresses where both families are looked up', () => {
    const scene = new Scene('logical-dns', [endpoint('a.example')], { family: 'all' });
    scene.answers.set('a.example', ['2001:db8::1', '10.0.0.1']);
    scene.discovery.start();
    expect(scene.sets).toEqual([['[2001:db8::1]:80']]);
    expect(scene.others).toEqual(['10.0.0.1']);
  });
});
