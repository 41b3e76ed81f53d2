import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChannelCredentials, type ClientDuplexStream, type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { Mailbox } from '../../packages/xds/src/testing/mailbox.ts';

/** A discovery response as protobufjs reads it: fields as the .proto names them, the body of a resource left packed. */
export interface Response {
  readonly type_url: string;
  readonly nonce: string;
  readonly version_info: string;
  /** Delta: with name and version. State of the world: the packed resource alone. */
  readonly resources: readonly { readonly name: string; readonly version: string; readonly value: Buffer }[];
  readonly removed_resources: readonly string[];
}

/** A request in the same form. Fields that are left out are empty. */
export interface Request {
  readonly type_url: string;
  readonly response_nonce?: string;
  readonly error_detail?: { readonly code: number; readonly message: string };
  readonly resource_names?: readonly string[];
  readonly version_info?: string;
  readonly resource_names_subscribe?: readonly string[];
  readonly resource_names_unsubscribe?: readonly string[];
  readonly initial_resource_versions?: Readonly<Record<string, string>>;
}

type Stream = ClientDuplexStream<object, Response>;
type Ads = InstanceType<ServiceClientConstructor> & { readonly DeltaAggregatedResources: () => Stream; readonly StreamAggregatedResources: () => Stream };

/** The service by grpc-js and protobufjs, from the .proto files: nothing of ours encodes, carries or decodes a message. */
function loadService(): ServiceClientConstructor {
  const entry = import.meta.resolve('@grpc/grpc-js-xds');
  const loader = createRequire(entry)('@grpc/proto-loader') as { loadSync(file: string, options: object): Parameters<typeof loadPackageDefinition>[0] };
  const deps = join(dirname(fileURLToPath(entry)), '../../deps');
  const includeDirs = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(deps, name));
  const definition = loader.loadSync('envoy/service/discovery/v3/ads.proto', { keepCase: true, defaults: true, longs: String, includeDirs });
  const path = ['envoy', 'service', 'discovery', 'v3', 'AggregatedDiscoveryService'];
  return path.reduce<unknown>((at, name) => (at as GrpcObject)[name], loadPackageDefinition(definition)) as ServiceClientConstructor;
}

const Service = loadService();

/** One ADS stream, on which the test says every word. */
export class ForeignClient {
  readonly responses = new Mailbox<Response>();
  /** Fulfilled with the status's code and words once the stream is over. */
  readonly ended: Promise<{ code: number; details: string }>;
  readonly #client: Ads;
  readonly #stream: Stream;
  #node: object | undefined;

  constructor(target: string, credentials: ChannelCredentials, protocol: 'delta' | 'sotw', node: object) {
    // Node refuses an IP address as TLS server name.
    this.#client = new Service(target, credentials, { 'grpc.ssl_target_name_override': 'localhost' }) as Ads;
    this.#stream = protocol === 'delta' ? this.#client.DeltaAggregatedResources() : this.#client.StreamAggregatedResources();
    this.#node = node;
    this.#stream.on('data', (response: Response) => this.responses.put(response));
    this.#stream.on('error', () => {});
    this.ended = new Promise((resolve) => this.#stream.once('status', ({ code, details }) => resolve({ code, details })));
  }

  send(request: Request): void {
    this.#stream.write({ ...request, ...(this.#node === undefined ? {} : { node: this.#node }) });
    this.#node = undefined;
  }

  /** Delta: acknowledges, and may change names with it. */
  ack({ type_url, nonce }: Response, more: Partial<Request> = {}): void {
    this.send({ type_url, response_nonce: nonce, ...more });
  }

  async take(): Promise<Response> {
    return await this.responses.take();
  }

  close(): void {
    this.#stream.cancel();
    this.#client.close();
  }
}
