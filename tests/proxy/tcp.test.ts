import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { freePorts } from '../harness/ports.ts';
import { Wire } from '../harness/wire.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

/** Says its name, then echoes, and after the other's end says how much there was. */
async function named(name: string): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let bytes = 0;
    socket.on('error', () => {});
    socket.write(`${name}\n`);
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('end', () => socket.end(`${bytes}\n`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe.each(planes)('the TCP proxy of %s', (plane) => {
  let proxy: DataPlane;
  let folder: string;
  let servers: net.Server[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tcp-'));
    servers = await Promise.all(['one', 'two', 'three'].map(named));
    const [one, two, three] = servers.map((server) => `127.0.0.1:${(server.address() as net.AddressInfo).port}`) as [string, string, string];
    const [dead] = await freePorts(1);
    const tcp = (fields: JsonObject): JsonObject => ({
      filterChains: [
        { filters: [{ name: 'tcp', typedConfig: typed('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 't', ...fields }) }] },
      ],
    });
    proxy = await DataPlane.start(plane, {
      clusters: {
        one: clusterJson('one', { endpoints: [one] }),
        two: clusterJson('two', { endpoints: [two] }),
        // Round robin: the second attempt finds the one that is there.
        half: clusterJson('half', { endpoints: [`127.0.0.1:${dead}`, three], fields: { lbPolicy: 'ROUND_ROBIN' } }),
        ring: clusterJson('ring', { endpoints: [one, two, three], fields: { lbPolicy: 'RING_HASH' } }),
        sorted: clusterJson('sorted', {
          endpoints: [
            { at: one, metadata: { filterMetadata: { 'envoy.lb': { stage: 'blue' } } } },
            { at: two, metadata: { filterMetadata: { 'envoy.lb': { stage: 'green' } } } },
          ],
          fields: { lbPolicy: 'ROUND_ROBIN', lbSubsetConfig: { fallbackPolicy: 'NO_FALLBACK', subsetSelectors: [{ keys: ['stage'] }] } },
        }),
        gone: clusterJson('gone', { endpoints: [`127.0.0.1:${dead}`] }),
      },
      listeners: {
        weighted: tcp({
          weightedClusters: {
            clusters: [
              { name: 'one', weight: 3 },
              { name: 'two', weight: 1 },
            ],
          },
        }),
        idle: tcp({ cluster: 'one', idleTimeout: '0.3s' }),
        short: tcp({ cluster: 'one', maxDownstreamConnectionDuration: '0.3s' }),
        again: tcp({ cluster: 'half', maxConnectAttempts: 2 }),
        once: tcp({ cluster: 'gone' }),
        hashed: tcp({ cluster: 'ring', hashPolicy: [{ sourceIp: {} }] }),
        green: tcp({ cluster: 'sorted', metadataMatch: { filterMetadata: { 'envoy.lb': { stage: 'green' } } } }),
        red: tcp({ cluster: 'sorted', metadataMatch: { filterMetadata: { 'envoy.lb': { stage: 'red' } } } }),
        logged: tcp({
          cluster: 'one',
          accessLog: [
            {
              name: 'file',
              typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
                path: join(folder, 'access.log'),
                logFormat: { textFormatSource: { inlineString: '%BYTES_RECEIVED% %BYTES_SENT% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %PROTOCOL%\n' } },
              }),
            },
          ],
        }),
      },
    });
  }, 60_000);

  afterAll(async () => {
    await proxy?.stop();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (name: string): Promise<Wire> => Wire.open(`127.0.0.1:${proxy.port(name)}`);

  /** Who answers each of so many connections. */
  async function names(listener: string, count: number): Promise<string[]> {
    const found: string[] = [];
    for (let n = 0; n < count; n++) {
      const wire = await open(listener);
      const [, name] = await wire.expect(/^(\w+)\n/).catch(() => ['', 'nobody']);
      found.push(name!);
      wire.close();
    }
    return found;
  }

  test('weights share connections out', async () => {
    const found = await names('weighted', 120);
    const ones = found.filter((name) => name === 'one').length;
    // 90 expected; six standard deviations.
    expect(ones).toBeGreaterThan(61);
    expect(ones).toBeLessThan(119);
  });

  test('each half ends by itself', async () => {
    const wire = await open('weighted');
    await wire.expect(/^(one|two)\n/);
    wire.send('x'.repeat(100_000));
    wire.socket.end();
    expect(await wire.rest()).toBe('100000\n');
    wire.close();
  });

  test.each(['idle', 'short'])('a connection that is %s is closed', async (name) => {
    const wire = await open(name);
    await wire.expect(/^one\n/);
    const fromMs = performance.now();
    expect(await wire.rest()).toBe('');
    expect(performance.now() - fromMs).toBeGreaterThan(150);
    wire.close();
  });

  test('an endpoint that refuses is followed by the next one', async () => {
    expect(new Set(await names('again', 8))).toEqual(new Set(['three']));
    expect(await names('once', 1)).toEqual(['nobody']);
  });

  test('a client has one endpoint where its address is hashed', async () => {
    expect(new Set(await names('hashed', 12)).size).toBe(1);
  });

  test('endpoints are chosen by their metadata', async () => {
    expect(new Set(await names('green', 6))).toEqual(new Set(['two']));
    expect(await names('red', 1)).toEqual(['nobody']);
  });

  test('what passed is in the access log', async () => {
    const wire = await open('logged');
    await wire.expect(/^one\n/);
    wire.send('12345');
    wire.socket.end();
    await wire.rest();
    wire.close();
    const path = join(folder, 'access.log');
    await until('the line', () => (existsSync(path) && readFileSync(path, 'utf8').includes('\n') ? true : undefined));
    expect(readFileSync(path, 'utf8')).toBe('5 6 - one -\n');
  });
});
