import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { packResource } from '../any/pack.ts';
import { type AdsServerOptions, type DiscoveryRoutes, DiscoveryService } from '../server/ads.ts';
import { type ResourceSource, TypeUrl } from '../source.ts';
import type { SecretStore } from './store.ts';

/** `SecretDiscoveryService`, delta and state of the world, for a Unix socket that only the workload's user may open. */
export function createSdsRoutes(store: SecretStore, options: AdsServerOptions = {}): DiscoveryRoutes {
  const service = new DiscoveryService(secretSource(store), options, TypeUrl.secret);
  const path = '/envoy.service.secret.v3.SecretDiscoveryService/';
  return {
    methods: new Map([
      [`${path}DeltaSecrets`, service.delta],
      [`${path}StreamSecrets`, service.sotw],
    ]),
    streams: () => service.streams(),
    close: () => service.close(),
  };
}

/** A client that asks for a secret that is not there yet gets it when it comes; the names are its own affair. */
function secretSource(store: SecretStore): ResourceSource {
  /** By stream. */
  const subscribed = new Map<symbol, ReadonlySet<string>>();
  const tell = (): void => store.inUse?.(new Set([...subscribed.values()].flatMap((names) => [...names])));
  return {
    open(_node, _caller, changed) {
      const stream = Symbol('stream');
      const stop = store.onChange((name) => changed(TypeUrl.secret, new Set([name])));
      return {
        get(_typeUrl, name) {
          const secret = store.get(name);
          return secret === undefined ? 'pending' : packResource(SecretSchema, name, secret.name === name ? secret : create(SecretSchema, { ...secret, name }));
        },
        wildcard: () => [],
        subscribed(_typeUrl, names) {
          subscribed.set(stream, new Set(names));
          tell();
        },
        close() {
          stop();
          subscribed.delete(stream);
          tell();
        },
      };
    },
  };
}
