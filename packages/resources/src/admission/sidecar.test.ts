import { describe, expect, test } from 'vitest';
import type { Json } from '../json.ts';
import type { SidecarSpec } from '../kinds/workloads.ts';
import { changed } from '../testing/changed.ts';
import { sidecarErrors } from './sidecar.ts';

const whole: SidecarSpec = {
  workloadSelector: { labels: { app: 'a' } },
  ingress: [
    { port: { number: 80, protocol: 'HTTP', name: 'http' }, bind: '10.0.0.1', defaultEndpoint: '127.0.0.1:8080' },
    {
      port: { number: 443, protocol: 'HTTPS' },
      defaultEndpoint: 'unix:///run/a.sock',
      tls: { mode: 'MUTUAL', serverCertificate: '/c', privateKey: '/k', caCertificates: '/ca' },
      connectionPool: { tcp: { maxConnections: 1 } },
    },
    { port: { number: 81 }, defaultEndpoint: '[::1]:8080' },
  ],
  egress: [
    { port: { number: 80, protocol: 'HTTP', name: 'http' }, bind: '127.0.0.1', hosts: ['./*'] },
    { port: { protocol: 'HTTP' }, bind: 'unix:///run/b.sock', hosts: ['other/*.example.com'] },
    { hosts: ['*/*', 'istio-system/a.b', '~other/c.d'] },
  ],
  outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy: { host: 'proxy.example', port: { number: 80 } } },
};

const fields = (spec: SidecarSpec): string[] => sidecarErrors(spec).map(({ field }) => field);

test('accepts what can be meant', () => {
  expect(fields(whole)).toEqual([]);
  expect(fields({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })).toEqual([]);
});

describe('refuses', () => {
  test('nothing', () => {
    expect(fields({ workloadSelector: { labels: { app: 'a' } } })).toEqual(['spec']);
  });

  test.each<[string, Json | undefined, string]>([
    ['workloadSelector.labels', { 'a*': 'b' }, 'spec.workloadSelector.labels'],
    ['ingress[0].port.number', 0, 'spec.ingress[0].port.number'],
    ['ingress[2].port.number', 80, 'spec.ingress[2].port.number'],
    ['ingress[0].port.protocol', 'HTTP9', 'spec.ingress[0].port.protocol'],
    ['ingress[0].port.name', 'a.b', 'spec.ingress[0].port.name'],
    ['ingress[0].port.targetPort', 1, 'spec.ingress[0].port.targetPort'],
    ['ingress[0].bind', 'a', 'spec.ingress[0].bind'],
    ['ingress[0].defaultEndpoint', '127.0.0.1', 'spec.ingress[0].defaultEndpoint'],
    ['ingress[0].defaultEndpoint', '10.0.0.1:80', 'spec.ingress[0].defaultEndpoint'],
    ['ingress[0].defaultEndpoint', '127.0.0.1:0', 'spec.ingress[0].defaultEndpoint'],
    ['ingress[0].defaultEndpoint', 'unix://a', 'spec.ingress[0].defaultEndpoint'],
    ['ingress[1].port.protocol', 'HTTP', 'spec.ingress[1].tls'],
    ['ingress[1].tls.mode', 'ISTIO_MUTUAL', 'spec.ingress[1].tls.mode'],
    ['ingress[1].tls.credentialName', 'a', 'spec.ingress[1].tls.credentialName'],
    ['ingress[1].tls.httpsRedirect', true, 'spec.ingress[1].tls.httpsRedirect'],
    ['ingress[1].tls.caCertificates', undefined, 'spec.ingress[1].tls.caCertificates'],
    ['ingress[1].tls.privateKey', undefined, 'spec.ingress[1].tls.privateKey'],
    ['ingress[1].tls', { mode: 'SIMPLE', privateKey: '/k' }, 'spec.ingress[1].tls.serverCertificate'],
    ['ingress[1].tls', { mode: 'SIMPLE', serverCertificate: '/c', privateKey: '/k', caCrl: '/l' }, 'spec.ingress[1].tls.caCrl'],
    ['ingress[1].connectionPool', {}, 'spec.ingress[1].connectionPool'],
    ['egress[0].hosts', [], 'spec.egress[0].hosts'],
    ['egress[0].hosts[0]', 'a.b', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', '/a.b', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', 'ns/', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', 'n_s/a.b', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', './short', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', './*a.b', 'spec.egress[0].hosts[0]'],
    ['egress[0].hosts[0]', './a_b.c', 'spec.egress[0].hosts[0]'],
    ['egress[0].port', undefined, 'spec.egress[0]'],
    ['egress[0].bind', 'unix:///a', 'spec.egress[0].bind'],
    ['egress[1].bind', '127.0.0.1', 'spec.egress[1].bind'],
    ['egress[1].bind', 'unix://a', 'spec.egress[1].bind'],
    ['egress[1].captureMode', 'IPTABLES', 'spec.egress[1].captureMode'],
    ['egress[1].port', { number: 80 }, 'spec.egress[1].port.number'],
    ['outboundTrafficPolicy.mode', 'REGISTRY_ONLY', 'spec.outboundTrafficPolicy.egressProxy'],
    ['outboundTrafficPolicy.egressProxy.host', '10.0.0.1', 'spec.outboundTrafficPolicy.egressProxy.host'],
    ['outboundTrafficPolicy.egressProxy.port', undefined, 'spec.outboundTrafficPolicy.egressProxy.port'],
    ['outboundTrafficPolicy.egressProxy.port', {}, 'spec.outboundTrafficPolicy.egressProxy.port.number'],
  ])('%s = %j', (path, value, field) => {
    expect(fields(changed(whole, path, value))[0]).toBe(field);
  });
});
