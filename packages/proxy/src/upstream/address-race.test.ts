import { describe, expect, it } from 'vitest';
import type { Runtime } from '../engine/runtime.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { EndpointAddress } from '../xds/endpoint-config.ts';
import { AddressRace, type AddressRunner, interleaved } from './address-race.ts';
import type { UpstreamTransport } from './upstream-transport.ts';

const at = (host: string): EndpointAddress => ({ kind: 'socket', host, port: 80 });
const hosts = (addresses: readonly EndpointAddress[]): string[] => addresses.map((address) => (address.kind === 'socket' ? address.host : ''));

describe('the order of addresses', () => {
  it.each([
    [
      'the families take turns, that of the first address first',
      ['::1', '::2', '1.1.1.1', '2.2.2.2', '3.3.3.3'],
      0,
      1,
      ['::1', '1.1.1.1', '::2', '2.2.2.2', '3.3.3.3'],
    ],
    ['the family that is asked for comes first', ['::1', '::2', '1.1.1.1'], 4, 1, ['1.1.1.1', '::1', '::2']],
    ['with as many of its own as are asked for', ['::1', '::2', '::3', '1.1.1.1', '2.2.2.2'], 6, 2, ['::1', '::2', '1.1.1.1', '::3', '2.2.2.2']],
    ['a family that is not there is not missed', ['1.1.1.1', '2.2.2.2'], 6, 1, ['1.1.1.1', '2.2.2.2']],
  ] as const)('%s', (_what, given, family, count, wanted) => {
    expect(hosts(interleaved(given.map(at), family, count))).toEqual(wanted);
  });
});

class Scene {
  readonly clock = new FakeClock();
  readonly opened: string[] = [];
  readonly aborted: string[] = [];
  readonly runners = new Map<string, AddressRunner>();
  won = '';
  lost = '';
  readonly race: AddressRace;

  constructor(...given: string[]) {
    const names = new Map<UpstreamTransport, string>();
    this.race = new AddressRace(
      { wheel: new TimerWheel(this.clock) } as unknown as Runtime,
      given.map(at),
      (address, runner) => {
        const [host] = hosts([address]);
        const transport = { abort: () => this.aborted.push(host!) } as unknown as UpstreamTransport;
        names.set(transport, host!);
        this.opened.push(host!);
        this.runners.set(host!, runner);
        return transport;
      },
      {
        onWon: (winner) => {
          this.won = names.get(winner)!;
        },
        onLost: (_timeout, detail) => {
          this.lost = detail;
        },
      },
    );
    this.race.start();
  }
}

describe('a race', () => {
  it('tries one address after another, 300 ms apart, and drops the others when one has answered', () => {
    const scene = new Scene('1.1.1.1', '2.2.2.2', '3.3.3.3');
    scene.clock.advance(280);
    expect(scene.opened).toEqual(['1.1.1.1']);
    scene.clock.advance(40);
    expect(scene.opened).toEqual(['1.1.1.1', '2.2.2.2']);
    scene.runners.get('1.1.1.1')!.onOpen();
    expect([scene.won, scene.aborted]).toEqual(['1.1.1.1', ['2.2.2.2']]);
    scene.clock.advance(1_000);
    expect(scene.opened).toHaveLength(2);
    // One that answers all the same is nobody's.
    scene.runners.get('2.2.2.2')!.onOpen();
    expect(scene.won).toBe('1.1.1.1');
  });

  it('does not wait for an address that has failed, and is lost when all have', () => {
    const scene = new Scene('1.1.1.1', '2.2.2.2');
    scene.runners.get('1.1.1.1')!.onOpenFailed(false, 'refused');
    expect([scene.opened, scene.lost]).toEqual([['1.1.1.1', '2.2.2.2'], '']);
    scene.runners.get('2.2.2.2')!.onOpenFailed(false, 'refused too');
    expect(scene.lost).toBe('refused too');
  });

  it('ends with whoever asked for it', () => {
    const scene = new Scene('1.1.1.1', '2.2.2.2');
    scene.race.abort();
    scene.clock.advance(1_000);
    expect([scene.opened, scene.aborted]).toEqual([['1.1.1.1'], ['1.1.1.1']]);
  });
});
