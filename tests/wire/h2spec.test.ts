import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, routeTo } from '../../packages/proxy/src/testing/messages.ts';
import { TestApplication } from '../../packages/proxy/src/testing/test-proxy.ts';
import { peer } from '../harness/peers.ts';
import { DataPlane } from '../proxy/data-plane.ts';
import { tlsChain } from './tls-chain.ts';

interface Line {
  readonly group: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failure?: string;
}

const program = peer('h2spec');
/** Of h2spec 2.2.1, with its strict cases. */
const CASES = 146;

async function h2spec(port: number, ...flags: string[]): Promise<Line[]> {
  const child = spawn(program!, ['-port', String(port), ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`h2spec ended with ${code}`);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

describe.skipIf(program === undefined)('h2spec, strict, against our listener', () => {
  let proxy: DataPlane;
  let application: TestApplication;

  beforeAll(async () => {
    application = await TestApplication.start((request, response) => {
      request.resume();
      request.on('end', () => response.end('the answer of the application'));
    });
    const routes = [routeTo('application')];
    proxy = await DataPlane.start('outrigger', {
      listeners: {
        http2: listenerJson('http2', { routes, manager: { codecType: 'HTTP2' } }),
        auto: listenerJson('auto', { routes }),
        tls: listenerJson('tls', { routes, chain: await tlsChain() }),
      },
      clusters: { application: clusterJson('application', { endpoints: [application.address] }) },
    });
  });

  afterAll(async () => {
    await proxy?.stop();
    await application?.close();
  });

  test.each([
    { name: 'with prior knowledge', listener: 'http2', flags: [], otherwise: [] },
    { name: 'over TLS with ALPN', listener: 'tls', flags: ['-tls'], otherwise: [] },
    // What begins otherwise than the preface is answered as HTTP/1, which the case cannot read.
    { name: 'where HTTP/1 is taken too', listener: 'auto', flags: [], otherwise: ['http2/3.5: Sends invalid connection preface'] },
  ])('$name', async ({ listener, flags, otherwise }) => {
    const lines = await h2spec(proxy.port(listener), ...flags);
    const failures = lines.flatMap(({ group, failure }) => (failure === undefined ? [] : [`${group}: ${failure}`]));
    expect(failures.filter((failure) => !otherwise.some((start) => failure.startsWith(start)))).toEqual([]);
    const groups = lines.filter(({ failure }) => failure === undefined);
    expect(groups.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(0);
    expect(groups.reduce((sum, { passed }) => sum + passed, 0)).toBe(CASES - otherwise.length);
  });
});
