import { TypeUrl } from '@outrigger/xds';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenerJson, message, typed } from '../testing/messages.ts';
import { TestControlPlane } from '../testing/test-control-plane.ts';
import { TestProxy } from '../testing/test-proxy.ts';

const SECRET_WAIT_MS = 1_000;
/** Of a secret that nobody gives. */
const waiting = {
  transportSocket: {
    name: 'tls',
    typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      commonTlsContext: {
        tlsCertificateSdsSecretConfigs: [{ name: 'missing', sdsConfig: { ads: {}, initialFetchTimeout: `${SECRET_WAIT_MS / 1000}s` } }],
      },
    }),
  },
};

const listener = (text: string, chain = {}) =>
  message(ListenerSchema, {
    ...listenerJson('web', { routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: text } } }], chain }),
    address: { socketAddress: { address: '127.0.0.1', portValue: 0 } },
  });

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A server that went away before it was answered says something else when it is back. */
describe('a listener that waits for its secret', () => {
  let plane: TestControlPlane;
  let proxy: TestProxy;
  const served = async (): Promise<string> => (proxy.proxy.listenerAddress('web') === undefined ? '' : (await proxy.ask('web')).body);

  beforeEach(async () => {
    plane = await TestControlPlane.start();
    plane.listener(listener('one'));
    proxy = await TestProxy.start(plane);
    await plane.verdict(TypeUrl.listener, 'web');
    expect(await served()).toBe('one');
    plane.listener(listener('two', waiting));
    await pause(SECRET_WAIT_MS / 10);
    await plane.stop();
  });
  afterEach(async () => {
    await proxy?.proxy.close();
    await plane?.close();
  });

  test('does not come in the place of the one that came after it', async () => {
    plane.listener(listener('three'));
    await plane.serve();
    await expect.poll(served, { timeout: SECRET_WAIT_MS }).toBe('three');
    await pause(SECRET_WAIT_MS * 1.5);
    expect(await served()).toBe('three');
  });

  test('does not come back when it has been removed', async () => {
    plane.remove(TypeUrl.listener, 'web');
    await plane.serve();
    await expect.poll(served, { timeout: SECRET_WAIT_MS }).toBe('');
    await pause(SECRET_WAIT_MS * 1.5);
    expect(await served()).toBe('');
  });
});
