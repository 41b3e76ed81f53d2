import { ConnectionOrigin, compileListener, describeErrors, type FilterChainConfig, FilterChainMatcher } from '@outrigger/proxy/pure';
import type { ResourceRef } from '@outrigger/resources';
import type { Listener } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import type { FilterChain } from '@outrigger/xds/protos/envoy/config/listener/v3/listener_components';
import type { Call } from './call.ts';
import type { ClientVerifier } from './client-certificate.ts';
import { RefusedByProxy } from './envoy-filters.ts';

/** An address from outside of everything that a mesh has. */
export const SOMEBODY = '192.0.2.1';
const NOWHERE = '192.0.2.2';

export type Accepted =
  | {
      readonly kind: 'chain';
      readonly chain: FilterChainConfig;
      /** What it was made of. */
      readonly message: FilterChain;
      readonly terminated: boolean;
      readonly authenticated: boolean;
    }
  | { readonly kind: 'no-filter-chain' | 'tls-error'; readonly why: string };

/** What the proxy does with a connection before it looks at what comes on it: by the listener's own matcher. */
export function accept(message: Listener, call: Call, verify: ClientVerifier, sources: readonly ResourceRef[]): Accepted {
  const compiled = compileListener(message, 'simulation');
  if (!compiled.ok) throw new RefusedByProxy(`listener ${message.name}: ${describeErrors(compiled.errors)}`, sources);
  const listener = compiled.value;
  const origin = new ConnectionOrigin(call.address === '' ? NOWHERE : call.address, call.port, SOMEBODY, 40_000);
  if (call.tls !== undefined && listener.listenerFilters.some(({ kind }) => kind === 'tls-inspector')) {
    origin.transportProtocol = 'tls';
    origin.serverName = call.tls.sni.toLowerCase();
    origin.applicationProtocols = call.tls.alpn;
  }
  if (call.tls === undefined && call.request !== undefined && listener.listenerFilters.some(({ kind }) => kind === 'http-inspector'))
    origin.applicationProtocols = [call.request.plainProtocol ?? 'http/1.1'];
  const chain = new FilterChainMatcher(listener.filterChains, listener.defaultFilterChain).match(origin);
  if (chain === null) {
    const said =
      call.tls === undefined
        ? 'without TLS'
        : `with TLS for ${call.tls.sni || 'no name'}${call.tls.alpn.length > 0 ? `, protocols ${call.tls.alpn.join(', ')}` : ''}`;
    return { kind: 'no-filter-chain', why: `no filter chain of ${message.name} takes a connection ${said}` };
  }
  const made = message.filterChains[listener.filterChains.indexOf(chain)] ?? message.defaultFilterChain!;
  const taken = (terminated: boolean, authenticated: boolean): Accepted => ({ kind: 'chain', chain, message: made, terminated, authenticated });
  if (chain.tls === null) return taken(false, false);
  if (call.tls === undefined) return { kind: 'tls-error', why: 'TLS is wanted here, and the connection is in plain text' };
  if (chain.tls.validation === null) return taken(true, false);
  const { certificate } = call.tls;
  if (certificate === 'none')
    return chain.tls.requireClientCertificate ? { kind: 'tls-error', why: 'a client certificate is wanted here, and none is shown' } : taken(true, false);
  const refusal = verify(certificate, chain.tls.validation.sdsName);
  if (refusal !== undefined) return { kind: 'tls-error', why: refusal };
  return taken(true, true);
}
