import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { peer } from '../harness/peers.ts';
import { type Plane, planes } from './data-plane.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
const inner = join(root, 'tests/harness/redirected.mjs');
/** Redirection wants rights on the network, which a namespace of its own gives, and a program of the system's. */
const allowed = (rule: string): boolean => spawnSync('unshare', ['-rn', 'iptables', '-t', ...rule.split(' ')], { stdio: 'ignore' }).status === 0;
const available = allowed('nat -L') && allowed('mangle -A PREROUTING -p tcp -j TPROXY --on-port 1');

const [PROXY, TRANSPARENT, ELSEWHERE, OTHER, APPLICATION] = [18_001, 18_005, 18_002, 18_003, 18_004];
const socket = (portValue: number): JsonObject => ({ socketAddress: { address: '127.0.0.1', portValue } });
const local = [{ header: { key: 'x-local', value: '%DOWNSTREAM_LOCAL_ADDRESS%' } }];
const saying = (text: string): JsonObject => ({
  match: { prefix: '/' },
  directResponse: { status: 200, body: { inlineString: text } },
  responseHeadersToAdd: local,
});

const bootstrap: JsonObject = {
  node: { id: 'gate', cluster: 'gate' },
  staticResources: {
    clusters: [{ name: 'onward', type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED', connectTimeout: '1s' }],
    listeners: [
      listenerJson('gate', {
        routes: [
          { match: { prefix: '/', headers: [{ name: 'host', stringMatch: { exact: `127.0.0.1:${APPLICATION}` } }] }, route: { cluster: 'onward' } },
          saying('gate'),
        ],
        fields: {
          address: socket(PROXY),
          useOriginalDst: true,
          listenerFilters: [{ name: 'original', typedConfig: typed('envoy.extensions.filters.listener.original_dst.v3.OriginalDst') }],
        },
      }),
      listenerJson('transparent', {
        routes: [saying('transparent')],
        fields: {
          address: socket(TRANSPARENT),
          transparent: true,
          listenerFilters: [{ name: 'original', typedConfig: typed('envoy.extensions.filters.listener.original_dst.v3.OriginalDst') }],
        },
      }),
      listenerJson('elsewhere', { routes: [saying('elsewhere')], fields: { address: socket(ELSEWHERE), bindToPort: false } }),
    ],
  },
};

function commandOf(plane: Plane, config: string): string[] {
  if (plane === 'envoy') return [peer('envoy')!, '-c', config, '--use-dynamic-base-id', '--concurrency', '1', '-l', 'warn'];
  return [node, rigProgram, 'proxy', '--config', config];
}

describe.each(planes)('connections that the kernel has redirected to %s', (plane) => {
  test.skipIf(!available)(
    'go to the listener that has their destination, keep it, and can go on there (skipped without iptables)',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'redirected-'));
      const config = join(folder, 'bootstrap.json');
      writeFileSync(config, JSON.stringify(bootstrap));
      const ports = [PROXY, TRANSPARENT, ELSEWHERE, OTHER, APPLICATION].map(String);
      const { stdout, stderr } = spawnSync('unshare', ['-rn', node, inner, ...ports, '--', ...commandOf(plane, config)], { encoding: 'utf8', timeout: 40_000 });
      rmSync(folder, { recursive: true });
      expect(stdout, stderr).not.toBe('');
      expect(JSON.parse(stdout)).toEqual([
        `gate 127.0.0.1:${PROXY}`,
        `elsewhere 127.0.0.1:${ELSEWHERE}`,
        // Nobody has that address: the listener that it was redirected to.
        `gate 127.0.0.1:${OTHER}`,
        'application',
        // It was turned round on its way, and has kept the address that it was going to.
        'transparent 10.9.9.9:8080',
      ]);
    },
    60_000,
  );
});
