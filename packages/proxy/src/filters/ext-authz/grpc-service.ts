import { create, type JsonObject } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AddressSchema, SocketAddressSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { HeaderValueOption } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { AttributeContext_PeerSchema, AttributeContextSchema } from '@outrigger/xds/protos/envoy/service/auth/v3/attribute_context';
import { CheckRequestSchema, type CheckResponse, CheckResponseSchema } from '@outrigger/xds/protos/envoy/service/auth/v3/external_auth';
import { callGrpc, type GrpcAnswer, type GrpcTarget } from '../call/grpc-call.ts';
import type { Cancellable, FilteredStream } from '../http-filter.ts';
import type { HeaderChange, Outcome, OutcomeHandler } from './outcome.ts';
import type { CheckOfRoute, HeaderNameSet } from './settings.ts';

const PATH = '/envoy.service.auth.v3.Authorization/Check';

export interface GrpcCheckSettings {
  readonly target: GrpcTarget;
  /** Empty: all. */
  readonly allowedHeaders: HeaderNameSet;
  readonly disallowedHeaders: HeaderNameSet;
  readonly metadataNamespaces: readonly string[];
  readonly includeSni: boolean;
}

/** envoy.service.auth.v3.Authorization: the service is told of the request and decides. */
export class GrpcAuthorization {
  readonly #settings: GrpcCheckSettings;

  constructor(settings: GrpcCheckSettings) {
    this.#settings = settings;
  }

  check(stream: FilteredStream, route: CheckOfRoute | null, content: Buffer | null, asBytes: boolean, partial: boolean, done: OutcomeHandler): Cancellable {
    const { head, services } = stream;
    const metadata: Record<string, JsonObject> = {};
    for (const namespace of this.#settings.metadataNamespaces) {
      const known = stream.dynamicMetadata?.get(namespace);
      if (known !== undefined) metadata[namespace] = known as JsonObject;
    }
    const peer = (address: string, principal: string) =>
      create(AttributeContext_PeerSchema, { ...(address === '' ? {} : { address: addressMessage(address) }), principal });
    const request = create(CheckRequestSchema, {
      attributes: create(AttributeContextSchema, {
        source: peer(stream.downstreamRemoteAddress, stream.downstreamPeerUri),
        destination: peer(stream.downstreamLocalAddress, stream.downstreamLocalUri),
        request: {
          time: timestampFromMs(services.unixMs()),
          http: {
            id: String(stream.connectionId),
            method: head.method,
            headers: this.#headers(stream, content === null ? null : partial),
            path: head.path,
            host: head.authority,
            scheme: head.scheme,
            size: BigInt(content !== null ? content.length : head.bodyLength),
            protocol: stream.protocol,
            ...(content === null ? {} : asBytes ? { rawBody: new Uint8Array(content) } : { body: content.toString() }),
          },
        },
        contextExtensions: { ...route?.contextExtensions },
        metadataContext: { filterMetadata: metadata },
        ...(this.#settings.includeSni ? { tlsSession: { sni: stream.requestedServerName } } : {}),
      }),
    });
    return callGrpc(services, this.#settings.target, PATH, CheckRequestSchema, request, CheckResponseSchema, new GrpcVerdict(done));
  }

  /** Lower case; what stands there several times is joined. */
  #headers({ head }: FilteredStream, partial: boolean | null): Record<string, string> {
    const { allowedHeaders, disallowedHeaders } = this.#settings;
    const found: Record<string, string> = { ':authority': head.authority, ':method': head.method, ':path': head.path, ':scheme': head.scheme };
    for (let i = 0; i < head.headers.length; i += 2) {
      const name = head.headers[i]!.toLowerCase();
      if ((!allowedHeaders.empty && !allowedHeaders.has(name)) || disallowedHeaders.has(name)) continue;
      found[name] = Object.hasOwn(found, name) ? `${found[name]},${head.headers[i + 1]!}` : head.headers[i + 1]!;
    }
    if (partial !== null) found['x-envoy-auth-partial-body'] = String(partial);
    return found;
  }
}

function addressMessage(address: string) {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  const socket = create(SocketAddressSchema, {
    address: address.slice(0, colon).replace(/^\[|\]$/g, ''),
    portSpecifier: { case: 'portValue', value: Number.isInteger(port) ? port : 0 },
  });
  return create(AddressSchema, { address: { case: 'socketAddress', value: socket } });
}

class GrpcVerdict implements GrpcAnswer<typeof CheckResponseSchema> {
  readonly #done: OutcomeHandler;

  constructor(done: OutcomeHandler) {
    this.#done = done;
  }

  onMessage(answer: CheckResponse): void {
    this.#done(outcomeOf(answer));
  }

  onError(detail: string): void {
    this.#done({ kind: 'error', detail });
  }
}

const DEFAULT_DENIED_STATUS = 403;

function outcomeOf({ status, httpResponse, dynamicMetadata }: CheckResponse): Outcome {
  const metadata = dynamicMetadata === undefined ? null : (dynamicMetadata as Record<string, unknown>);
  if ((status?.code ?? 0) === 0) {
    const ok = httpResponse.case === 'okResponse' ? httpResponse.value : undefined;
    return {
      kind: 'allowed',
      requestHeaders: changes(ok?.headers ?? []),
      requestHeadersToRemove: (ok?.headersToRemove ?? []).map((name) => name.toLowerCase()),
      responseHeaders: changes(ok?.responseHeadersToAdd ?? []),
      queryToSet: (ok?.queryParametersToSet ?? []).map(({ key, value }) => [key, value]),
      queryToRemove: ok?.queryParametersToRemove ?? [],
      metadata: metadata ?? (ok?.dynamicMetadata as Record<string, unknown> | undefined) ?? null,
    };
  }
  const denied = httpResponse.case === 'deniedResponse' ? httpResponse.value : undefined;
  const code = denied?.status?.code ?? 0;
  return {
    kind: 'denied',
    status: code === 0 ? DEFAULT_DENIED_STATUS : code,
    headers: changes(denied?.headers ?? []).flatMap(({ name, value }) => [name, value]),
    body: denied?.body ?? '',
    metadata,
  };
}

/** Replaced unless `append` says otherwise. */
function changes(options: readonly HeaderValueOption[]): HeaderChange[] {
  return options.flatMap(({ header, append }) => {
    if (header === undefined) return [];
    const value = header.rawValue.length > 0 ? Buffer.from(header.rawValue).toString('latin1') : header.value;
    return [{ name: header.key.toLowerCase(), value, append: append ?? false }];
  });
}
