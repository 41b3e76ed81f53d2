import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readResources } from '@outrigger/resources';
import { bareNode, type DataPlane, type ProxyNode } from '@outrigger/translate';
import { bootstrapText, envoyBootstrap } from '@outrigger/translate/bootstrap';
import { describe, expect, test } from 'vitest';
import { inboundPorts, toWorkload } from '../../packages/cli/src/simulate/inbound.ts';
import { fromWorkload } from '../../packages/cli/src/simulate/outbound.ts';
import type { Outcome } from '../../packages/cli/src/simulate/outcome.ts';
import { type World, workloadLabels, worldOf } from '../../packages/cli/src/simulate/world.ts';
import { peer } from '../harness/peers.ts';
import { type Plane, planes } from '../proxy/data-plane.ts';
import { svidOf, testAuthority } from '../xds/certificates.ts';
import { applications, type Captured, calls, documents, POD } from './captured-calls.ts';
import { serveMesh, serveSecrets } from './served.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
const inner = join(root, 'tests/harness/captured.mjs');
/** Redirection wants rights on the network, which a namespace of its own gives, and a program of the system's. */
const available = spawnSync('unshare', ['-rn', 'iptables', '-t', 'nat', '-L'], { stdio: 'ignore' }).status === 0;

const { resources, refused, others } = await readResources([{ file: 'mesh.json', text: documents.map((one) => JSON.stringify(one)).join('\n---\n') }]);
const world: World = worldOf(resources, others);

interface Sidecar {
  readonly proxy: ProxyNode;
  readonly adminPort: number;
}

/** The sidecar of a workload; `base`: all its ports are from there on. */
function sidecar(plane: DataPlane, workload: string, address: string, base: number): Sidecar {
  const labels = workloadLabels(others, 'default', workload)!;
  const at = (port: number) => ({ host: '0.0.0.0', port });
  const proxy = bareNode('default', workload, {
    dataPlane: plane,
    labels,
    serviceAccount: labels['app']!,
    onDemand: plane === 'outrigger',
    capture: { outbound: at(base + 1), inbound: at(base + 6), addresses: [address] },
    inbound: inboundPorts(world, { namespace: 'default', workload, labels, addresses: [address] }).map((port) => ({
      ...port,
      application: {
        host: applications.find((one) => one.host === address && one.port === port.application.port)?.host ?? '127.0.0.1',
        port: port.application.port,
      },
    })),
  });
  return { proxy, adminPort: base };
}

const sidecars = (plane: DataPlane): readonly [Sidecar, Sidecar] => [sidecar(plane, 'web', POD.web, 15_000), sidecar(plane, 'shop-v2', POD.shop, 16_000)];

function commandOf(plane: Plane, config: string): string[] {
  if (plane === 'envoy') return [peer('envoy')!, '-c', config, '--use-dynamic-base-id', '--concurrency', '1', '-l', 'warn'];
  return [node, rigProgram, 'proxy', '--config', config];
}

/** What each call gets, and what was said on the way. */
async function answersOf(plane: Plane): Promise<{ readonly answers: readonly string[]; readonly refusals: readonly string[]; readonly log: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'captured-'));
  const ads = join(folder, 'ads.sock');
  const refusals: string[] = [];
  const servers = [await serveMesh(ads, { mesh: () => world.mesh, changed: new Set(), refusals })];
  const authority = await testAuthority();
  try {
    const commands: { readonly adminPort: number; readonly command: readonly string[] }[] = [];
    for (const { proxy, adminPort } of sidecars(plane)) {
      const config = join(folder, `${proxy.instance}.json`);
      const sdsPipe = join(folder, `${proxy.instance}.sock`);
      servers.push(await serveSecrets(sdsPipe, await svidOf(authority, proxy.serviceAccount)));
      writeFileSync(config, bootstrapText(envoyBootstrap({ node: proxy, ads: { pipe: ads }, sdsPipe, admin: { host: '127.0.0.1', port: adminPort } })));
      commands.push({ adminPort, command: commandOf(plane, config) });
    }
    const plan = join(folder, 'plan.json');
    writeFileSync(
      plan,
      JSON.stringify({
        addresses: Object.values(POD),
        // As Istio does it, but for the workload, which is told by its address and not by its user.
        redirections: [
          { from: `-s ${POD.web}`, port: 15_001 },
          { from: `-s ${POD.shopCaller}`, port: 16_001 },
          { from: '! -s 127.0.0.6', to: `-d ${POD.shop}`, port: 16_006 },
        ],
        sidecars: commands,
        applications,
        calls: calls.map(({ sent }) => sent),
      }),
    );
    const child = spawn('unshare', ['-rn', node, inner, plan], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [text, log] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
    await new Promise((resolve) => child.once('close', resolve));
    return { answers: text === '' ? [] : JSON.parse(text), refusals, log };
  } finally {
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true });
  }
}

/** What `rig simulate` says of it, at the proxy that takes it from its caller. */
function simulated({ from, to, port, host = '', headers = {}, http2, sni }: Captured['sent']): Outcome {
  const [web, shop] = sidecars('outrigger');
  const request =
    host === ''
      ? undefined
      : ({
          method: 'GET',
          scheme: 'http',
          authority: host,
          path: '/',
          headers: Object.entries(headers).flat(),
          plainProtocol: http2 ? 'h2c' : 'http/1.1',
        } as const);
  const tls = sni === undefined ? undefined : ({ sni, alpn: [], certificate: 'none', peer: '' } as const);
  const call = { address: to, port, tls, request };
  if (from === POD.stranger) return toWorkload(world, shop.proxy, call);
  return fromWorkload(world, from === POD.web ? web.proxy : shop.proxy, call);
}

test('what is said of captured connections is read without a word against it', () => expect(refused).toEqual([]));

test.each(calls.map((one) => [one.what, one] as const))('rig simulate says where it goes: %s', (_, { sent, cluster }) => {
  const { decision, xds } = simulated(sent);
  if (cluster === undefined) expect(decision).not.toMatch(/^route$|passthrough/);
  else expect(xds.clusters).toEqual([cluster]);
});

describe.each(planes)('connections that the kernel has redirected to sidecars: %s', (plane) => {
  test.skipIf(!available)(
    'each arrives where the mesh says (skipped without iptables)',
    async () => {
      const { answers, refusals, log } = await answersOf(plane);
      expect(refusals).toEqual([]);
      expect(Object.fromEntries(calls.map(({ what }, index) => [what, answers[index]])), log).toEqual(
        Object.fromEntries(calls.map(({ what, answer }) => [what, answer])),
      );
    },
    60_000,
  );
});
