import { connect } from 'node:net';
import { createSecureContext } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { createClient, type Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { makeKeyAndCsr } from '@outrigger/identity';
import { AdsClient, type ReceivedResource, type ResourceUpdate, type Verdict } from '@outrigger/xds';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { AttachRequestSchema, CertificateService, WorkloadService } from '@outrigger/xds/protos/outrigger/v1/workload';
import type { Addresses } from '../options.ts';

export interface WorkloadShape {
  readonly name: string;
  readonly version?: string;
  readonly meshPort?: number;
  readonly applicationPort?: number;
  readonly metricsAddress?: string;
}

export interface Credentials {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** gRPC to the control plane's Unix socket, or to its TCP port with an SVID. */
export function transportTo(addresses: Addresses, credentials?: Credentials): Transport {
  if (credentials === undefined)
    return createGrpcTransport({ baseUrl: 'http://localhost', nodeOptions: { createConnection: () => connect(addresses.agentSocket) } });
  return createGrpcTransport({ baseUrl: `https://${addresses.grpc}`, nodeOptions: { ...credentials, checkServerIdentity: () => undefined } });
}

export async function credentialsOf(addresses: Addresses, name: string, namespace = 'default'): Promise<Credentials> {
  const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
  const answer = await createClient(CertificateService, transportTo(addresses)).sign({ csrDer, namespace, serviceAccount: name });
  return { key: privateKeyPem, cert: answer.certificateChainPem.join(''), ca: answer.trustBundlePem.join('') };
}

/** Registers an instance for as long as it is not ended. */
export async function attach(
  addresses: Addresses,
  credentials: Credentials,
  { name, version = '', meshPort = 15_001, applicationPort = 9_001, metricsAddress = '' }: WorkloadShape,
): Promise<{ end(): void }> {
  const leave = new AbortController();
  const register = create(AttachRequestSchema, {
    message: {
      case: 'register',
      value: {
        instance: instanceOf(name, version),
        namespace: 'default',
        service: name,
        serviceAccount: name,
        labels: { app: name, ...(version === '' ? {} : { version }) },
        ports: [{ name: 'http', protocol: 'HTTP', servicePort: 8080, applicationPort, meshPort }],
        address: '127.0.0.1',
        dataPlane: 'outrigger',
        nodeId: `${instanceOf(name, version)}.default`,
        metricsAddress,
      },
    },
  });
  async function* requests() {
    yield register;
    for (let sequence = 1n; !leave.signal.aborted; sequence += 1n) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 300);
        leave.signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      if (!leave.signal.aborted) yield create(AttachRequestSchema, { message: { case: 'heartbeat', value: { sequence } } });
    }
  }
  const answers = createClient(WorkloadService, transportTo(addresses, credentials)).attach(requests(), { signal: leave.signal })[Symbol.asyncIterator]();
  const first = await answers.next();
  if (first.value?.message.case !== 'registered') throw new Error('not registered');
  const drain = async (): Promise<void> => {
    while (!(await answers.next()).done);
  };
  drain().catch(() => {});
  return { end: () => leave.abort() };
}

/** One response as the client saw it. */
export interface Seen {
  readonly type: string;
  readonly added: readonly ReceivedResource<unknown>[];
  readonly removed: readonly string[];
}

/** A discovery client that writes down what it is sent. */
export class XdsClient {
  readonly ads: AdsClient;
  readonly seen: Seen[] = [];
  readonly errors: string[] = [];
  /** What to answer; default: all is taken. */
  verdict: (type: string) => Verdict = () => undefined;
  #waiting: (() => void)[] = [];

  constructor(
    addresses: Addresses,
    credentials: Pick<Credentials, 'ca'> & Partial<Credentials>,
    shape: WorkloadShape & { readonly namespace?: string; readonly serviceAccount?: string },
  ) {
    const [host = '', port = ''] = addresses.grpc.split(':');
    const { name, version = '', namespace = 'default', serviceAccount = name } = shape;
    this.ads = new AdsClient({
      target: {
        host,
        port: Number(port),
        tls: () => ({ secureContext: createSecureContext(credentials), serverSpiffeId: 'spiffe://cluster.local/ns/istio-system/sa/outrigger' }),
      },
      node: create(NodeSchema, {
        id: `${instanceOf(name, version)}.default`,
        cluster: name,
        metadata: {
          NAMESPACE: namespace,
          SERVICE_ACCOUNT: serviceAccount,
          WORKLOAD: version === '' ? name : `${name}-${version}`,
          SERVICE: name,
          LABELS: { app: name, ...(version === '' ? {} : { version }) },
          INSTANCE: instanceOf(name, version),
          DATA_PLANE: 'outrigger',
          ON_DEMAND: true,
          HTTP_PROXY: '127.0.0.1:15000',
          INBOUND: [],
        },
      }),
      backoff: { initialMs: 20, maxMs: 100 },
      onEvent: (event) => {
        if (event.kind === 'disconnected') this.errors.push(event.reason);
        this.#wake();
      },
    });
  }

  handler(type: string): (update: ResourceUpdate<unknown>) => Verdict {
    return (update) => {
      if (update.from === 'server' && (update.added.length > 0 || update.removed.length > 0))
        this.seen.push({ type, added: update.added, removed: update.removed });
      this.#wake();
      return this.verdict(type);
    };
  }

  /** Resolves once it holds; looked at after each event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}

function instanceOf(name: string, version: string): string {
  return version === '' ? `${name}-1` : `${name}-${version}-1`;
}
