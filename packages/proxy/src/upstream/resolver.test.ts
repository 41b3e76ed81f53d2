import { describe, expect, it } from 'vitest';
import type { DnsSettings } from '../xds/cluster-config.ts';
import { DnsCache, MAX_CACHED_HOSTS, type Resolver, systemResolver } from './resolver.ts';

const SETTINGS: DnsSettings = { family: 'auto', refreshMs: 60_000, failureRefreshMs: 500, failureMaxMs: 0, respectTtl: false, servers: [] };

class Scene {
  now = 0;
  readonly asked: string[] = [];
  readonly #due: (() => void)[] = [];
  answer: readonly string[] | string = ['10.0.0.1'];
  readonly cache: DnsCache;

  constructor() {
    const resolver: Resolver = {
      resolve: (host, _family, done) => {
        this.asked.push(host);
        this.#due.push(() => (typeof this.answer === 'string' ? done([], this.answer) : done(this.answer, '')));
      },
    };
    this.cache = new DnsCache(resolver, SETTINGS, 60_000, () => this.now);
  }

  get(host = 'a.example'): string[] {
    const got: string[] = [];
    this.cache.get(host, (addresses, error) => got.push(error === '' ? addresses.join(' ') : error));
    return got;
  }

  settle(): void {
    for (const run of this.#due.splice(0)) run();
  }
}

describe('DnsCache', () => {
  it('asks once for all who wait, and answers the next at once', () => {
    const scene = new Scene();
    const first = scene.get();
    const second = scene.get();
    expect([first, second]).toEqual([[], []]);
    scene.settle();
    expect([first, second]).toEqual([['10.0.0.1'], ['10.0.0.1']]);
    expect(scene.get()).toEqual(['10.0.0.1']);
    expect(scene.asked).toEqual(['a.example']);
  });

  it('asks again when the time is over', () => {
    const scene = new Scene();
    scene.get();
    scene.settle();
    scene.now = 60_001;
    scene.answer = ['10.0.0.2'];
    const got = scene.get();
    expect(got).toEqual([]);
    scene.settle();
    expect(got).toEqual(['10.0.0.2']);
  });

  it('goes on with the last good answer where the new look-up fails', () => {
    const scene = new Scene();
    scene.get();
    scene.settle();
    scene.now = 60_001;
    scene.answer = 'EAI_AGAIN';
    const got = scene.get();
    scene.settle();
    expect(got).toEqual(['10.0.0.1']);
    // But asks again soon.
    scene.now += 501;
    scene.get();
    expect(scene.asked).toHaveLength(3);
  });

  it('remembers for a short while that there is nothing', () => {
    const scene = new Scene();
    scene.answer = 'ENOTFOUND';
    scene.get();
    scene.settle();
    expect(scene.get()).toEqual(['ENOTFOUND']);
    scene.now = 501;
    scene.answer = ['10.0.0.1'];
    const got = scene.get();
    scene.settle();
    expect(got).toEqual(['10.0.0.1']);
  });

  it('remembers a bounded number of names, and answers whoever waits for one that it has forgotten', () => {
    const scene = new Scene();
    const first = scene.get('first.example');
    for (let i = 0; i < MAX_CACHED_HOSTS; i++) scene.get(`${i}.example`);
    scene.settle();
    expect(first).toEqual(['10.0.0.1']);
    scene.get('first.example');
    expect(scene.asked.filter((host) => host === 'first.example')).toHaveLength(2);
    expect(scene.get(`${MAX_CACHED_HOSTS - 1}.example`)).toEqual(['10.0.0.1']);
  });
});

describe('systemResolver', () => {
  const resolve = (host: string, family: DnsSettings['family']) =>
    new Promise<[readonly string[], string]>((done) =>
      systemResolver.resolve(host, { family, servers: [], respectTtl: false }, (addresses, error) => done([addresses, error])),
    );

  it('knows this machine, never from within the call', async () => {
    let later = false;
    const answer = resolve('localhost', 'v4').then((result) => {
      expect(later).toBe(true);
      return result;
    });
    later = true;
    expect(await answer).toEqual([['127.0.0.1'], '']);
  });

  it('says why there is nothing', async () => {
    // No label may be as long, so that no server is asked.
    const [addresses, error] = await resolve(`${'x'.repeat(64)}.localhost`, 'auto');
    expect(addresses).toEqual([]);
    expect(error).toMatch(/^E/);
  });
});
