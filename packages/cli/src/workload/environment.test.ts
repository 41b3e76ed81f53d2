import { expect, test } from 'vitest';
import { applicationEnvironment } from './environment.ts';

test('the application is told of the proxy in every spelling, and loopback stays direct', () => {
  const environment = applicationEnvironment({ PATH: '/bin', NO_PROXY: 'db.internal', JAVA_TOOL_OPTIONS: '-Xmx1g' }, '127.0.0.1:15001');
  expect(environment).toMatchObject({
    PATH: '/bin',
    HTTP_PROXY: 'http://127.0.0.1:15001',
    http_proxy: 'http://127.0.0.1:15001',
    grpc_proxy: 'http://127.0.0.1:15001',
    NO_PROXY: 'db.internal,127.0.0.1,localhost,::1',
    no_proxy: 'db.internal,127.0.0.1,localhost,::1',
    NODE_USE_ENV_PROXY: '1',
    JAVA_TOOL_OPTIONS: '-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=15001 -Dhttp.nonProxyHosts=localhost|127.*|[::1]',
  });
});

test('https keeps its own proxy settings', () => {
  expect(applicationEnvironment({ HTTPS_PROXY: 'http://corp:3128' }, '127.0.0.1:15001')['HTTPS_PROXY']).toBe('http://corp:3128');
});

test('the join token stays with the sidecar', () => {
  expect(applicationEnvironment({ OUTRIGGER_JOIN_TOKEN: 'ojt1.secret' }, '127.0.0.1:15001')).not.toHaveProperty('OUTRIGGER_JOIN_TOKEN');
});
