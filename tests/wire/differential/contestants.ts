import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterJson, listenerJson, routeTo } from '../../../packages/proxy/src/testing/messages.ts';
import { peer } from '../../harness/peers.ts';
import { freePorts } from '../../harness/ports.ts';
import { DataPlane, type Plane } from '../../proxy/data-plane.ts';
import { until } from '../../xds/envoy.ts';
import { RecordingBackend } from './recording-backend.ts';

export type Name = 'outrigger' | 'envoy' | 'haproxy';
export const names: readonly Name[] = ['outrigger', 'envoy', 'haproxy'];

/** A port of a proxy and the backend that is behind that port alone: what arrives there is of the case under way. */
export interface Lane {
  readonly port: number;
  readonly backend: RecordingBackend;
}

export interface Contestant {
  readonly name: Name;
  readonly lanes: readonly Lane[];
  stop(): Promise<void>;
}

export async function startContestant(name: Name, laneCount: number): Promise<Contestant> {
  const backends = await Promise.all(Array.from({ length: laneCount }, () => RecordingBackend.start()));
  const started = name === 'haproxy' ? await startHaproxy(backends) : await startPlane(name, backends);
  return {
    name,
    lanes: backends.map((backend, i) => ({ port: started.ports[i]!, backend })),
    async stop() {
      await started.stop();
      for (const backend of backends) await backend.close();
    },
  };
}

interface Started {
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

async function startPlane(plane: Plane, backends: readonly RecordingBackend[]): Promise<Started> {
  // What Envoy refuses by default and takes where it is told to.
  const manager = { delayedCloseTimeout: '0.1s', httpProtocolOptions: { acceptHttp10: true, allowCustomMethods: true } };
  const named = backends.map((backend, i) => [`lane-${i}`, backend] as const);
  const proxy = await DataPlane.start(plane, {
    listeners: Object.fromEntries(named.map(([name]) => [name, listenerJson(name, { routes: [routeTo(name)], manager })])),
    clusters: Object.fromEntries(named.map(([name, backend]) => [name, clusterJson(name, { endpoints: [`127.0.0.1:${backend.port}`] })])),
  });
  return { ports: named.map(([name]) => proxy.port(name)), stop: () => proxy.stop() };
}

async function startHaproxy(backends: readonly RecordingBackend[]): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
  const ports = await freePorts(backends.length);
  const lanes = backends.map(({ port }, i) => `listen lane-${i}\n  bind 127.0.0.1:${ports[i]}\n  server backend 127.0.0.1:${port}\n`);
  const defaults = 'mode http\n  retries 0\n  http-reuse never\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n  timeout http-request 20s';
  const path = join(folder, 'haproxy.cfg');
  writeFileSync(path, `global\n  maxconn 1000\ndefaults\n  ${defaults}\n${lanes.join('')}`);
  const child = spawn(peer('haproxy')!, ['-f', path, '-db'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = once(child, 'exit');
  await until('HAProxy listens', async () => {
    if (child.exitCode !== null) throw new Error(`HAProxy ended with ${child.exitCode}: ${log}`);
    await fetch(`http://127.0.0.1:${ports.at(-1)}/`);
    return true;
  });
  return {
    ports,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
