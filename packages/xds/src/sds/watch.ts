import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { AdsClient, type AdsClientEvent } from '../client/ads-client.ts';
import type { Rejection } from '../client/handler.ts';

const SDS_PATH = '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets';

export interface SecretWatch {
  readonly names: ReadonlySet<string>;
  add(names: Iterable<string>): void;
  remove(names: Iterable<string>): void;
  close(): void;
}

export interface WatchSecretsOptions {
  /** Of the bootstrap; SDS servers need it little. Default: no id. */
  readonly nodeId?: string;
  readonly onEvent?: (event: AdsClientEvent) => void;
}

/**
 * Watches secrets of the SDS server on a Unix socket and goes on through its restarts. `onSecret` is called with each
 * secret at first and whenever it changes; a throw NACKs it, and the one before stays.
 */
export function watchSecrets(socketPath: string, names: Iterable<string>, onSecret: (secret: Secret) => void, options: WatchSecretsOptions = {}): SecretWatch {
  const client = new AdsClient({
    target: { socketPath },
    node: create(NodeSchema, { id: options.nodeId ?? '' }),
    methodPath: SDS_PATH,
    // The agent is a process on this machine: it is back at once or not at all.
    backoff: { initialMs: 50, maxMs: 1_000 },
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  const subscription = client.subscribe(SecretSchema, names, (update) => {
    const rejections: Rejection[] = [];
    for (const { name, message } of update.added) {
      try {
        onSecret(message);
      } catch (error) {
        rejections.push({ name, message: (error as Error).message });
      }
    }
    return rejections;
  });
  client.start();
  return { names: subscription.names, add: (more) => subscription.add(more), remove: (less) => subscription.remove(less), close: () => client.close() };
}
