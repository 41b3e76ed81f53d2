import { ResponseFlag } from '@outrigger/telemetry';
import { describe, expect, it } from 'vitest';
import { Faults } from '../engine/faults.ts';
import type { Runtime } from '../engine/runtime.ts';
import type { ConnectionInfo } from '../listener/connection-info.ts';
import { InternalListeners } from '../listener/internal-listeners.ts';
import { type MemoryTransport, memoryPair } from '../net/memory-transport.ts';
import { TimerWheel } from '../net/timer-wheel.ts';
import { Turn } from '../net/turn-writer.ts';
import { ByteEnd } from '../testing/byte-end.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import type { UpstreamHost } from '../upstream/upstream-host.ts';
import { PLAIN_HOW } from '../upstream/upstream-transport.ts';
import type { TcpProxyConfig } from '../xds/listener-config.ts';
import { TcpProxy } from './tcp-proxy.ts';

const CONFIG: TcpProxyConfig = {
  statPrefix: '',
  clusters: [{ name: 'mongo', weight: 1, subset: null }],
  totalWeight: 1,
  idleTimeoutMs: 3_600_000,
  maxConnectAttempts: 1,
  tunneling: null,
  bufferLimitBytes: 1024 * 1024,
  maxConnectionDurationMs: 0,
  policies: [],
  accessLogs: [],
  clusterFromSni: false,
  hashSourceIp: false,
} as unknown as TcpProxyConfig;

class Scene {
  readonly clock = new FakeClock();
  readonly client: ByteEnd;
  readonly proxy: TcpProxy;
  /** Connections that the upstream has, in their order. */
  readonly upstreams: ByteEnd[] = [];
  readonly events: string[] = [];
  readonly listeners = new InternalListeners();
  connections = 0;
  readonly host: UpstreamHost;
  /** Of the cluster that is not warm: lets it be. */
  warm: () => void = () => {};

  constructor(given: Partial<TcpProxyConfig> = {}, { there = true, warm = true, known = true, limit = 10 } = {}) {
    const { events } = this;
    if (there) this.listeners.set('upstream', (transport, setSink) => setSink(this.#upstream(transport)));
    this.host = {
      endpoint: { address: { kind: 'internal', listener: 'upstream' } },
      socket: null,
      connections: 0,
      activeRequests: 0,
      stats: { connectTotal: 0, connectFail: 0 },
    } as unknown as UpstreamHost;
    const cluster = {
      warm,
      forwardProxy: null,
      originalDst: null,
      config: { connectTimeoutMs: 1000, bufferLimitBytes: 1024 * 1024 },
      pick: () => this.host,
      how: () => PLAIN_HOW,
      limits: {
        tryConnection: () => this.connections < limit && ++this.connections > 0,
        releaseConnection: () => this.connections--,
      },
      outlier: {
        onAttempt: () => {},
        onResponse: () => events.push('success'),
        onLocalOriginFailure: (_host: unknown, failure: string) => events.push(failure),
      },
    } as unknown as Cluster;
    const clusters = {
      get: () => (known && cluster.warm ? cluster : undefined),
      ready: () =>
        new Promise<void>((resolve) => {
          this.warm = () => {
            cluster.warm = true;
            resolve();
          };
          if (!known) resolve();
        }),
    } as unknown as ClusterSet;
    const runtime = {
      wheel: new TimerWheel(this.clock),
      turn: new Turn(setImmediate),
      nowMs: () => this.clock.nowMs(),
      unixMs: () => this.clock.nowMs(),
      random: { uint32: () => 7 },
      internalListeners: this.listeners,
      faults: new Faults(() => {}),
    } as unknown as Runtime;
    const [ours, theirs] = memoryPair();
    this.client = new ByteEnd(theirs);
    const recorder = { opened: () => events.push('opened'), closed: () => events.push('closed') };
    this.proxy = new TcpProxy(runtime, clusters, { ...CONFIG, ...given }, {} as ConnectionInfo, ours, recorder, () => events.push('gone'));
    ours.sink = this.proxy;
    this.proxy.start();
  }

  #upstream(transport: MemoryTransport): ByteEnd {
    const end = new ByteEnd(transport);
    this.upstreams.push(end);
    return end;
  }

  get upstream(): ByteEnd {
    return this.upstreams[0]!;
  }
}

/** Until what has been received in a turn has left at its end, and has arrived. */
const settled = async () => {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
};

async function joined(given: Partial<TcpProxyConfig> = {}): Promise<Scene> {
  const scene = new Scene(given);
  await settled();
  expect(scene.upstreams).toHaveLength(1);
  return scene;
}

const ENDED = ['success', 'opened', 'closed', 'gone'];

describe('TcpProxy', () => {
  it('carries bytes both ways, those that came before the upstream was there first', async () => {
    const scene = new Scene();
    scene.client.write('early ');
    await settled();
    scene.client.write('late');
    scene.upstream.write('hello');
    await settled();
    expect(scene.upstream.text).toBe('early late');
    expect(scene.client.text).toBe('hello');
    expect(scene.proxy).toMatchObject({ bytesReceived: 10, bytesSent: 5, responseFlags: 0 });
    expect(scene.connections).toBe(1);
  });

  it('says what the two sides have not taken, and ends when it is shed for that', async () => {
    const scene = await joined();
    scene.upstream.transport.pause();
    scene.client.transport.pause();
    scene.client.write('x'.repeat(1_000));
    scene.upstream.write('y'.repeat(500));
    await settled();
    expect(scene.proxy.bufferedBytes).toBe(1_500);
    scene.proxy.shed();
    await settled();
    expect(scene.proxy).toMatchObject({ responseFlags: ResponseFlag.overloadManager, details: 'overload_reset_high_memory_connection' });
    expect([scene.events, scene.connections]).toEqual([ENDED, 0]);
  });

  it('says what the client has sent before there is an upstream', () => {
    const scene = new Scene();
    scene.proxy.receive(Buffer.from('early'), 0, 5);
    expect(scene.proxy.bufferedBytes).toBe(5);
  });

  it.each([
    ['client', 'upstream'],
    ['upstream', 'client'],
  ] as const)('ends each half by itself: the %s first, then the %s', async (first, second) => {
    const scene = await joined();
    scene[first].write('question');
    scene[first].transport.end();
    await settled();
    expect(scene[second]).toMatchObject({ text: 'question', ended: true, closed: false });
    scene[second].write('answer');
    await settled();
    expect(scene[first].text).toBe('answer');
    expect(scene.events).toEqual(['success', 'opened']);
    scene[second].transport.end();
    await settled();
    expect([scene.client.closed, scene.upstream.closed]).toEqual([true, true]);
    expect(scene.events).toEqual(ENDED);
    expect(scene.proxy.responseFlags).toBe(0);
    expect([scene.connections, scene.host.connections, scene.host.activeRequests]).toEqual([0, 0, 0]);
  });

  it('passes on an end that came before the upstream was there', async () => {
    const scene = new Scene();
    scene.client.write('all');
    scene.client.transport.end();
    await settled();
    expect(scene.upstream).toMatchObject({ text: 'all', ended: true });
  });

  it.each([
    ['client', ResponseFlag.downstreamConnectionTermination],
    ['upstream', ResponseFlag.upstreamConnectionTermination],
  ] as const)('ends both where the %s breaks off, and says who did', async (who, flag) => {
    const scene = await joined();
    scene[who].transport.peer.sink.transportClosed('ECONNRESET');
    await settled();
    expect([scene.client.closed, scene.upstream.closed]).toEqual([true, true]);
    expect(scene.proxy).toMatchObject({ responseFlags: flag, details: 'ECONNRESET' });
    expect(scene.events).toEqual(ENDED);
  });

  it('stops one side where the other does not read, and goes on when it does', async () => {
    const scene = await joined();
    scene.upstream.transport.pause();
    // More than both ways may hold.
    let written = 0;
    for (let i = 0; i < 200; i++) {
      if (scene.client.transport.write(Buffer.alloc(10_000, 'x'))) written += 10_000;
      await settled();
      if (scene.client.transport.writableLength >= 128 * 1024) break;
    }
    expect(scene.client.transport.writableLength).toBeGreaterThanOrEqual(128 * 1024);
    expect(written).toBeLessThan(400_000);
    scene.upstream.transport.resume();
    await settled();
    await settled();
    expect(scene.client.transport.writableLength).toBe(0);
  });

  it('reads a bounded number of bytes before the upstream is there', async () => {
    const scene = new Scene({}, { warm: false });
    for (let i = 0; i < 50; i++) {
      scene.client.write('x'.repeat(10_000));
      await settled();
    }
    expect(scene.client.transport.writableLength).toBeGreaterThan(400_000);
    scene.warm();
    await settled();
    await settled();
    expect(scene.upstream.text).toHaveLength(500_000);
  });

  it('tries as often as it may, then says that no upstream took it', async () => {
    const scene = new Scene({ maxConnectAttempts: 3 }, { there: false });
    await settled();
    expect(scene.events).toEqual(['connect-failure', 'connect-failure', 'connect-failure', 'closed', 'gone']);
    expect(scene.proxy.responseFlags).toBe(ResponseFlag.upstreamConnectionFailure);
    expect(scene.client.closed).toBe(true);
    expect([scene.connections, scene.host.connections]).toEqual([0, 0]);
  });

  it.each([
    ['no cluster', { known: false }, ResponseFlag.noClusterFound],
    ['too many connections', { limit: 0 }, ResponseFlag.upstreamOverflow],
  ])('refuses with %s', async (_name, options, flag) => {
    const scene = new Scene({}, options);
    await settled();
    expect(scene.proxy.responseFlags).toBe(flag);
    expect(scene.client.closed).toBe(true);
    expect(scene.events).toEqual(['closed', 'gone']);
  });

  it('refuses what a policy denies, before any upstream is asked', async () => {
    const policies = [{ decide: () => ({ allowed: false }) }] as unknown as TcpProxyConfig['policies'];
    const scene = new Scene({ policies });
    await settled();
    expect(scene.upstreams).toEqual([]);
    expect(scene.proxy).toMatchObject({ responseFlags: ResponseFlag.unauthorizedExternalService, details: 'rbac_access_denied' });
    expect(scene.client.closed).toBe(true);
  });

  it('closes what is idle, and nothing that moves', async () => {
    const scene = await joined({ idleTimeoutMs: 1000 });
    for (let i = 0; i < 5; i++) {
      scene.clock.advance(900);
      scene.upstream.write('x');
      await settled();
    }
    expect(scene.proxy.responseFlags).toBe(0);
    scene.clock.advance(2100);
    expect(scene.proxy.responseFlags).toBe(ResponseFlag.streamIdleTimeout);
    expect(scene.events).toEqual(ENDED);
  });

  it('closes after its longest life', async () => {
    const scene = await joined({ maxConnectionDurationMs: 1000 });
    scene.clock.advance(1100);
    expect(scene.proxy.details).toBe('max_connection_duration');
    expect(scene.events).toEqual(ENDED);
  });

  it('does not keep for ever what ended, with a reader that never reads the rest', async () => {
    const scene = await joined({ idleTimeoutMs: 0 });
    scene.client.transport.pause();
    scene.upstream.write('x'.repeat(10_000));
    scene.upstream.transport.end();
    scene.client.transport.end();
    await settled();
    expect(scene.events).toEqual(['success', 'opened']);
    scene.clock.advance(31_000);
    await settled();
    expect(scene.events).toEqual(ENDED);
    expect([scene.connections, scene.host.connections]).toEqual([0, 0]);
  });

  it('waits for a reader that reads the rest slowly', async () => {
    const scene = await joined({ idleTimeoutMs: 0 });
    let reads = 0;
    scene.client.receive = () => {
      reads++;
      scene.client.transport.pause();
    };
    scene.client.transport.pause();
    for (let i = 0; i < 4; i++) {
      scene.upstream.write('x'.repeat(4_000));
      await settled();
    }
    scene.upstream.transport.end();
    scene.client.transport.end();
    await settled();
    for (let i = 0; i < 4; i++) {
      scene.client.transport.resume();
      await settled();
      scene.clock.advance(20_000);
    }
    expect(reads).toBe(4);
    expect(scene.events).toEqual(['success', 'opened']);
    scene.client.transport.resume();
    await settled();
    expect(scene.events).toEqual(ENDED);
  });

  it('does not swallow what a client sends to an upstream that has gone', async () => {
    const scene = await joined();
    scene.upstream.transport.end();
    await settled();
    scene.upstream.transport.destroy();
    await settled();
    expect(scene.client).toMatchObject({ ended: true, closed: false });
    scene.client.write('more');
    await settled();
    expect(scene.client.closed).toBe(true);
    expect(scene.events).toEqual(ENDED);
  });
});
