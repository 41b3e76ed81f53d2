// Light xDS clients: real connections with mTLS and real streams, which ask for what a sidecar asks for, acknowledge it, and note when it came.
// A child of run.mjs; a message from it is a command, the answer has its name.
import { createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { NodeSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '@outrigger/xds/protos/envoy/service/discovery/v3/discovery';
import { SignRequestSchema, SignResponseSchema } from '@outrigger/xds/protos/outrigger/v1/workload';
import { makeKeyAndCsr } from '../../packages/identity/src/agent/key-and-csr.ts';
import { GrpcConnection } from '../../packages/xds/src/grpc/connection.ts';
import { hostOf, PORT, serviceName, servicesOf } from './mesh-config.mjs';

const TYPE = (name) => `type.googleapis.com/${name}`;
const LISTENER = TYPE('envoy.config.listener.v3.Listener');
const ROUTE = TYPE('envoy.config.route.v3.RouteConfiguration');
const VIRTUAL_HOST = TYPE('envoy.config.route.v3.VirtualHost');
const CLUSTER = TYPE('envoy.config.cluster.v3.Cluster');
const ENDPOINT = TYPE('envoy.config.endpoint.v3.ClusterLoadAssignment');
/** What is asked for once the one before it has come, as references lead a proxy. */
const NEXT = {
  // As our proxy: a forward proxy whose virtual hosts come as they are used.
  delta: { [LISTENER]: ROUTE, [ROUTE]: VIRTUAL_HOST, [VIRTUAL_HOST]: CLUSTER, [CLUSTER]: ENDPOINT },
  // As an Envoy with a port for each service that it calls: VHDS is there in delta alone.
  state: { [LISTENER]: ROUTE, [ROUTE]: CLUSTER, [CLUSTER]: ENDPOINT },
};
const PROXY_ROUTE = 'http_proxy';
const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService/';
const FIRST_UPSTREAM_PORT = 20_000;
/** Handshakes under way at once: a rollout's machines do not all begin in one millisecond. */
const CONNECTING_AT_ONCE = 50;

const credentials = new Map();
const clients = [];
const arrivals = [];

class Subscriber {
  #index;
  #services;
  #protocol;
  #connection;
  #stream;
  #ready;
  #failed;
  /** State of the world repeats what has not changed. */
  #seen = new Map();
  #waiting = new Set();
  /** 'slow': takes what comes, and acknowledges nothing any more. */
  stalled = false;

  constructor(index, services, protocol) {
    this.#index = index;
    this.#services = servicesOf(index, services);
    this.#protocol = protocol;
  }

  async connect(host, port) {
    const { key, cert, ca } = credentials.get(serviceName(this.#index));
    const ready = new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.#failed = reject;
    });
    this.#connection = await GrpcConnection.connect(
      {
        host,
        port,
        tls: () => ({ secureContext: createSecureContext({ key, cert, ca }), serverSpiffeId: 'spiffe://cluster.local/ns/istio-system/sa/outrigger' }),
      },
      { connectTimeoutMs: 60_000 },
    );
    this.#stream = this.#connection.open(`${SERVICE}${this.#protocol === 'delta' ? 'DeltaAggregatedResources' : 'StreamAggregatedResources'}`, {
      onMessage: (bytes) => (this.#protocol === 'delta' ? this.#delta(bytes) : this.#state(bytes)),
      onEnd: (error) => this.#failed(error ?? new Error('the stream was ended')),
    });
    this.#subscribe(LISTENER, this.#node());
    await ready;
  }

  /** Reads no more: the server's buffers fill. */
  stall() {
    this.stalled = true;
    this.#stream.pause();
  }

  close() {
    this.#stream?.cancel();
    this.#connection?.close();
  }

  #names(typeUrl) {
    const hosts = this.#services.map(hostOf);
    switch (typeUrl) {
      case LISTENER:
        return ['*'];
      case ROUTE:
        return this.#protocol === 'delta' ? [PROXY_ROUTE] : hosts.map((host) => `upstream|${PORT}|${host}`);
      case VIRTUAL_HOST:
        return hosts.map((host) => `${PROXY_ROUTE}/${host}:${PORT}`);
      default:
        return hosts.map((host) => `outbound|${PORT}||${host}`);
    }
  }

  #awaited(typeUrl, names) {
    if (typeUrl !== LISTENER) return names;
    return this.#protocol === 'delta' ? [PROXY_ROUTE] : this.#services.map((_, at) => `upstream_127.0.0.1_${FIRST_UPSTREAM_PORT + at}`);
  }

  #subscribe(typeUrl, node) {
    const names = this.#names(typeUrl);
    this.#waiting = new Set(this.#awaited(typeUrl, names));
    if (this.#protocol === 'delta') this.#send(DeltaDiscoveryRequestSchema, { node, typeUrl, resourceNamesSubscribe: names });
    else this.#send(DiscoveryRequestSchema, { node, typeUrl, resourceNames: typeUrl === LISTENER ? [] : names });
  }

  #send(schema, message) {
    this.#stream.send(toBinary(schema, create(schema, message)));
  }

  #delta(bytes) {
    const ns = process.hrtime.bigint();
    const { typeUrl, nonce, resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    this.#send(DeltaDiscoveryRequestSchema, { typeUrl, responseNonce: nonce });
    for (const { name, resource } of resources) this.#came(typeUrl, name, resource?.value, ns);
    this.#go(typeUrl);
  }

  #state(bytes) {
    const ns = process.hrtime.bigint();
    const { typeUrl, nonce, versionInfo, resources } = fromBinary(DiscoveryResponseSchema, bytes);
    const resourceNames = typeUrl === LISTENER ? [] : this.#names(typeUrl);
    this.#send(DiscoveryRequestSchema, { typeUrl, responseNonce: nonce, versionInfo, resourceNames });
    for (const { value } of resources) {
      const name = nameOf(value);
      const hash = createHash('md5').update(value).digest('base64');
      if (this.#seen.get(typeUrl + name) === hash) continue;
      this.#seen.set(typeUrl + name, hash);
      this.#came(typeUrl, name, value, ns);
    }
    this.#go(typeUrl);
  }

  #came(typeUrl, name, value, ns) {
    this.#waiting.delete(name);
    if (this.#ready !== undefined || value === undefined) return;
    const service = Number(/svc-(\d+)\./.exec(name)?.[1]);
    if (typeUrl === ENDPOINT) arrivals.push({ type: 'endpoints', service, ns, client: this.#index });
    else if (typeUrl === ROUTE || typeUrl === VIRTUAL_HOST) arrivals.push({ type: 'route', service, ns, client: this.#index });
  }

  #go(typeUrl) {
    if (this.#ready === undefined || this.#waiting.size > 0) return;
    const next = NEXT[this.#protocol][typeUrl];
    if (next !== undefined) return this.#subscribe(next);
    const ready = this.#ready;
    this.#ready = undefined;
    ready();
  }

  #node() {
    const name = serviceName(this.#index);
    const upstreams = this.#services.map((service, at) => ({ service: serviceName(service), port: PORT, address: `127.0.0.1:${FIRST_UPSTREAM_PORT + at}` }));
    return create(NodeSchema, {
      id: `${name}-sidecar.default`,
      cluster: name,
      metadata: {
        NAMESPACE: 'default',
        SERVICE_ACCOUNT: name,
        WORKLOAD: name,
        SERVICE: name,
        LABELS: { app: name },
        INSTANCE: `${name}-sidecar`,
        DATA_PLANE: this.#protocol === 'delta' ? 'outrigger' : 'envoy',
        ON_DEMAND: this.#protocol === 'delta',
        ...(this.#protocol === 'delta' ? { HTTP_PROXY: '127.0.0.1:15000' } : { UPSTREAMS: upstreams }),
        INBOUND: [],
      },
    });
  }
}

/** The first field of each of these messages is its name. */
function nameOf(value) {
  const length = value[1];
  return length < 128 ? Buffer.from(value.subarray(2, 2 + length)).toString() : Buffer.from(value.subarray(3, 3 + (length & 127) + (value[2] << 7))).toString();
}

/** gRPC's RESOURCE_EXHAUSTED: certificates are given at a rate. */
const EXHAUSTED = 8;
const RETRY_MS = 50;

async function signed(connection, request) {
  for (;;) {
    try {
      return await sign(connection, request);
    } catch (error) {
      if (error.status !== EXHAUSTED) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function sign(connection, request) {
  return new Promise((resolve, reject) => {
    let answer;
    const stream = connection.open('/outrigger.v1.CertificateService/Sign', {
      onMessage: (bytes) => {
        answer = fromBinary(SignResponseSchema, bytes);
      },
      onEnd: (error) => (answer === undefined ? reject(error ?? new Error('no answer')) : resolve(answer)),
    });
    stream.send(toBinary(SignRequestSchema, create(SignRequestSchema, request)));
    stream.finish();
  });
}

/** Runs them all, so many at once. */
async function each(items, atOnce, run) {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await run(next);
    }),
  );
}

const commands = {
  async certify({ agentSocket, from, to }) {
    const connection = await GrpcConnection.connect({ socketPath: agentSocket });
    const indexes = Array.from({ length: to - from }, (_, at) => from + at);
    await each(indexes, 8, async (index) => {
      const { privateKeyPem, csrDer } = await makeKeyAndCsr(undefined);
      const { certificateChainPem, trustBundlePem } = await signed(connection, { csrDer, namespace: 'default', serviceAccount: serviceName(index) });
      credentials.set(serviceName(index), { key: privateKeyPem, cert: certificateChainPem.join(''), ca: trustBundlePem.join('') });
    });
    connection.close();
  },
  async connect({ host, port, from, to, services, stateOfTheWorldEvery }) {
    const startNs = process.hrtime.bigint();
    for (let index = from; index < to; index++) clients.push(new Subscriber(index, services, index % stateOfTheWorldEvery === 0 ? 'state' : 'delta'));
    await each(clients, CONNECTING_AT_ONCE, (client) => client.connect(host, port));
    return Number(process.hrtime.bigint() - startNs) / 1e6;
  },
  stall({ count }) {
    for (const client of clients.slice(0, count)) client.stall();
  },
  arrivals() {
    return arrivals.splice(0);
  },
  close() {
    for (const client of clients) client.close();
    setImmediate(() => process.exit(0));
  },
};

process.on('message', async ({ id, name, ...more }) => {
  try {
    process.send({ id, result: await commands[name](more) });
  } catch (error) {
    process.send({ id, error: error.stack ?? String(error) });
  }
});
