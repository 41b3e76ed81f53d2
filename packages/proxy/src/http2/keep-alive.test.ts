import { expect, it } from 'vitest';
import { TimerWheel } from '../net/timer-wheel.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { KeepAlive, type KeepAliveSettings } from './keep-alive.ts';

const SETTINGS: KeepAliveSettings = { intervalMs: 1000, timeoutMs: 200, jitterPercent: 0, idleIntervalMs: 0 };

class Peer {
  readonly clock = new FakeClock();
  pings: number[] = [];
  heard = false;
  dead = 0;
  readonly keepAlive: KeepAlive;

  constructor(settings: Partial<KeepAliveSettings>, random = 0) {
    const startMs = this.clock.nowMs();
    const connection = {
      sendKeepAlive: () => void this.pings.push(this.clock.nowMs() - startMs),
      takeHeard: () => {
        const { heard } = this;
        this.heard = false;
        return heard;
      },
    };
    this.keepAlive = new KeepAlive(
      { ...SETTINGS, ...settings },
      connection,
      new TimerWheel(this.clock, 1),
      () => random,
      () => this.dead++,
    );
  }
}

it('asks at each interval while it is answered', () => {
  const peer = new Peer({});
  for (let i = 0; i < 3; i++) {
    peer.clock.advance(1010);
    peer.keepAlive.onAck();
  }
  expect(peer.pings).toHaveLength(3);
  expect(peer.dead).toBe(0);
  peer.keepAlive.close();
});

it('adds a share of the interval by chance', () => {
  const peer = new Peer({ jitterPercent: 50 }, 0.5);
  peer.clock.advance(1240);
  expect(peer.pings).toEqual([]);
  peer.clock.advance(20);
  expect(peer.pings).toHaveLength(1);
  peer.keepAlive.close();
});

it('waits anew while anything is heard, and gives up once', () => {
  const peer = new Peer({});
  peer.clock.advance(1005);
  for (let i = 0; i < 4; i++) {
    peer.heard = true;
    peer.clock.advance(195);
  }
  expect(peer.dead).toBe(0);
  peer.clock.advance(10_000);
  expect([peer.dead, peer.pings.length]).toEqual([1, 1]);
});

it('asks before a request on a connection that was idle, once', () => {
  const peer = new Peer({ intervalMs: 0, idleIntervalMs: 500 });
  peer.keepAlive.beforeRequest(499);
  expect(peer.pings).toEqual([]);
  peer.keepAlive.beforeRequest(500);
  peer.keepAlive.beforeRequest(500);
  expect(peer.pings).toHaveLength(1);
  peer.keepAlive.onAck();
  peer.clock.advance(10_000);
  expect([peer.dead, peer.pings.length]).toEqual([0, 1]);
});

it('does nothing any more once it is closed', () => {
  const peer = new Peer({});
  peer.keepAlive.close();
  peer.keepAlive.beforeRequest(1e9);
  peer.clock.advance(10_000);
  expect([peer.dead, peer.pings]).toEqual([0, []]);
});
