import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  bareNode,
  buildMesh,
  cluster,
  clusterNames,
  listener,
  listenerNames,
  type Mesh,
  type OutboundPolicy,
  type ProxyNode,
  routeConfiguration,
} from '@outrigger/translate';
import { BootstrapSchema } from '@outrigger/xds/protos/envoy/config/bootstrap/v3/bootstrap';
import { Cluster_DiscoveryType } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ApiConfigSource_ApiType, ApiVersion } from '@outrigger/xds/protos/envoy/config/core/v3/config_source';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { InternalListenerSchema } from '@outrigger/xds/protos/envoy/extensions/bootstrap/internal_listener/v3/internal_listener';
import { HttpConnectionManagerSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { afterAll, describe, expect, test } from 'vitest';
import { resource, service } from '../../packages/translate/src/testing/shop.ts';
import { peer } from '../harness/peers.ts';

const binary = peer('envoy');
const folder = mkdtempSync(join(tmpdir(), 'captured-'));
const VALIDATION_MS = 30_000;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ports = (['HTTP', 'TCP', 'UNSUPPORTED'] as const).map((protocol, index) => {
  const at = 7000 + index;
  return { name: protocol, protocol, servicePort: at, mesh: { host: '0.0.0.0', port: at }, application: { host: '127.0.0.1', port: at } };
});
const capture = { outbound: { host: '0.0.0.0', port: 15_001 }, inbound: { host: '0.0.0.0', port: 15_006 }, addresses: ['10.1.0.1'] };
const web = bareNode('default', 'web', { dataPlane: 'outrigger', capture, labels: { app: 'web' }, inbound: ports });

const outside = { location: 'MESH_EXTERNAL' } as const;
const services = [
  service('one', 80, 'HTTP', { addresses: ['10.0.0.1'] }),
  service('db', 5432, 'TCP', { addresses: ['10.0.0.2'] }),
  service('auto', 9000, 'UNSUPPORTED', { addresses: ['10.0.0.3'] }),
  service('alike', 9000, 'TCP', { addresses: ['10.0.0.3'] }),
  service('head', 5432, 'TCP', { headless: true }),
  service('tls', 443, 'TLS', { hostname: 'a.example', resolution: 'DNS', ...outside }),
  service('wild', 443, 'TLS', { hostname: '*.b.example', resolution: 'NONE', ...outside }),
  service('range', 80, 'TCP', { hostname: 'range.example', resolution: 'NONE', addresses: ['10.5.0.0/16', '10.5.9.9/16'], ...outside }),
];
const byName = (name: string, sniHosts: readonly string[]) =>
  resource('VirtualService', name, { hosts: sniHosts, tls: [{ match: [{ sniHosts }], route: [{ destination: { host: 'db', port: { number: 5432 } } }] }] });
const config = [
  byName('a', ['a.example']),
  byName('b', ['a.example', '*.b.example']),
  resource('Sidecar', 'web', {
    egress: [{ hosts: ['*/*'] }, { port: { number: 15_080, protocol: 'HTTP_PROXY', name: 'egress' }, captureMode: 'NONE', hosts: ['*/*'] }],
  }),
  resource('PeerAuthentication', 'web', { selector: { matchLabels: { app: 'web' } }, portLevelMtls: { 7002: { mode: 'DISABLE' }, 9999: { mode: 'STRICT' } } }),
  resource('DestinationRule', 'one', { host: 'one', trafficPolicy: { loadBalancer: { simple: 'PASSTHROUGH' } } }),
  resource('DestinationRule', 'db', {
    host: 'db',
    trafficPolicy: {
      tunnel: { targetHost: 'x.example', targetPort: 1 },
      proxyProtocol: { version: 'V2' },
      loadBalancer: { consistentHash: { useSourceIp: true } },
    },
  }),
];

/** With the routes in it that an Envoy would ask for: those of an HTTP_PROXY port are to be looked at too. */
function withRoutes(mesh: Mesh, node: ProxyNode, name: string): Listener {
  const message = create(ListenerSchema, listener(mesh, node, name).message);
  for (const { filters } of message.filterChains) {
    for (const { configType } of filters) {
      const manager = configType.case === 'typedConfig' ? anyUnpack(configType.value, HttpConnectionManagerSchema) : undefined;
      if (manager?.routeSpecifier.case !== 'rds' || configType.case !== 'typedConfig') continue;
      const routes = routeConfiguration(mesh, node, manager.routeSpecifier.value.routeConfigName).message!;
      configType.value = anyPack(HttpConnectionManagerSchema, { ...manager, routeSpecifier: { case: 'routeConfig', value: routes } });
    }
  }
  return message;
}

/** All that the node is told, as one bootstrap. */
function bootstrap(mesh: Mesh, node: ProxyNode) {
  const ads = {
    apiType: ApiConfigSource_ApiType.DELTA_GRPC,
    transportApiVersion: ApiVersion.V3,
    grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: 'xds-grpc' } } as const }],
  };
  const told = ['xds-grpc', 'sds-grpc'].map((name) => ({ name, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC } as const }));
  return create(BootstrapSchema, {
    node: { id: 'web', cluster: 'web' },
    bootstrapExtensions: [{ name: 'envoy.bootstrap.internal_listener', typedConfig: anyPack(InternalListenerSchema, create(InternalListenerSchema)) }],
    dynamicResources: { adsConfig: ads },
    staticResources: {
      listeners: listenerNames(mesh, node).names.map((name) =>
        name.includes('15080') ? withRoutes(mesh, node, name) : create(ListenerSchema, listener(mesh, node, name).message),
      ),
      clusters: [...clusterNames(mesh, node).names.flatMap((name) => cluster(mesh, node, name).message ?? []), ...told],
    },
  });
}

describe.skipIf(binary === undefined)('a real Envoy takes what is said of redirected connections', () => {
  test.each<OutboundPolicy>(['ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS'])('%s', (outboundPolicy) => {
    const mesh = buildMesh({ config, services, instances: [], settings: { outboundPolicy } });
    const file = join(folder, `${outboundPolicy}.pb`);
    writeFileSync(file, toBinary(BootstrapSchema, bootstrap(mesh, web)));
    const { status, stderr } = spawnSync(binary!, ['--mode', 'validate', '-c', file, '-l', 'error'], { encoding: 'utf8', timeout: VALIDATION_MS });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(routeConfiguration(mesh, web, '80').message?.virtualHosts.length).toBeGreaterThan(1);
  });
});
