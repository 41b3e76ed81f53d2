import type { JsonObject } from '@bufbuild/protobuf';
import { typed } from '../../packages/proxy/src/testing/messages.ts';
import { svidOf, testAuthority } from '../xds/certificates.ts';

/** Of a filter chain: TLS with ALPN for both versions of HTTP, and no client certificate. */
export async function tlsChain(): Promise<JsonObject> {
  const svid = await svidOf(await testAuthority(), 'web');
  const tls = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    commonTlsContext: {
      alpnProtocols: ['h2', 'http/1.1'],
      tlsCertificates: [{ certificateChain: { inlineString: svid.certificateChainPem.join('\n') }, privateKey: { inlineString: svid.privateKeyPem } }],
    },
  });
  return { transportSocket: { name: 'tls', typedConfig: tls } };
}
