import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { describe, expect, test } from 'vitest';
import { NodeError, nodeMetadata, type ProxyNode, parseNode } from './node.ts';
import { node } from './testing/shop.ts';

const parsed = (proxy: ProxyNode, more: Record<string, unknown> = {}) =>
  parseNode(
    create(NodeSchema, {
      id: proxy.id,
      cluster: proxy.service,
      metadata: { ...nodeMetadata(proxy), ...(more as object) },
      locality: { region: 'eu', zone: 'a' },
    }),
  );

describe('Node', () => {
  test('says what the agent wrote into it', () => {
    const proxy = node('web', {
      version: 'v1',
      labels: { app: 'web', version: 'v1' },
      locality: 'eu/a',
      upstreams: [
        { service: 'redis', port: 6379, address: { host: '::1', port: 7001 } },
        { service: 'web', port: 0, address: { host: '127.0.0.1', port: 7002 } },
      ],
      accessLog: '/tmp/access.log',
      otlp: { host: 'collector', port: 4318 },
      certificates: true,
    });
    expect(parsed(proxy)).toEqual(proxy);
  });

  test.each([
    [{ DATA_PLANE: 'nginx' }, 'DATA_PLANE'],
    [{ NAMESPACE: 7 }, 'NAMESPACE'],
    [{ HTTP_PROXY: '127.0.0.1' }, 'HTTP_PROXY'],
    [{ HTTP_PROXY: '127.0.0.1:70000' }, 'HTTP_PROXY'],
    [{ INBOUND: [{ name: 'http' }] }, 'INBOUND[0].protocol'],
    [{ INBOUND: 'all' }, 'INBOUND'],
    [{ UPSTREAMS: [{ service: 'a', port: -1, address: '127.0.0.1:1' }] }, 'UPSTREAMS[0].port'],
    [{ UPSTREAMS: Array.from({ length: 300 }, () => ({})) }, 'UPSTREAMS'],
    [{ LABELS: ['a'] }, 'LABELS'],
  ])('%j is refused by its key', (metadata, key) => {
    expect(() => parsed(node('web'), metadata)).toThrow(NodeError);
    expect(() => parsed(node('web'), metadata)).toThrow(`Node.metadata.${key} `);
  });
});
