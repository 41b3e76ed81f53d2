import type { JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { routeTo } from './messages.ts';
import type { Call, TestClient } from './test-client.ts';
import { TestEngine } from './test-engine.ts';
import type { Received, TestUpstream } from './test-upstream.ts';

/** What may happen, and how often beside the others. `pick` chooses among what is there. */
const STEPS = [
  ['connect', 4],
  ['request', 24],
  ['write', 5],
  ['finish', 4],
  ['abort', 3],
  ['client pause', 1],
  ['client resume', 2],
  ['client end', 1],
  ['client destroy', 1],
  ['answer', 10],
  ['begin', 5],
  ['content', 6],
  ['trailers', 2],
  ['inform', 1],
  ['reset', 3],
  ['refuse', 2],
  ['upstream pause', 1],
  ['upstream resume', 1],
  ['upstream end', 2],
  ['upstream destroy', 2],
  ['goaway', 1],
  ['unreachable', 1],
  ['cluster', 2],
  ['endpoints', 3],
  ['no cluster', 1],
  ['routes', 2],
  ['listener', 1],
  ['time', 8],
  ['mistake', 2],
] as const;

type Step = (typeof STEPS)[number][0];

export interface Move {
  readonly step: Step;
  readonly pick: number;
  readonly size: number;
  readonly settled: boolean;
}

export const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.record({
    step: fc.oneof(...STEPS.map(([step, weight]) => ({ arbitrary: fc.constant(step), weight }))),
    pick: fc.nat(1000),
    size: fc.constantFrom(0, 1, 100, 20_000, 300_000),
    settled: fc.boolean(),
  }),
  { minLength: 40, maxLength: 160, size: 'max' },
);

const OUTLIER: JsonObject = { consecutive5xx: 3, baseEjectionTime: '3s', maxEjectionTime: '3s', maxEjectionPercent: 100 };
const RETRY: JsonObject = { retryOn: '5xx,reset,connect-failure,refused-stream', numRetries: 3, perTryTimeout: '2s' };
const FIELDS: readonly JsonObject[] = [
  { outlierDetection: OUTLIER },
  { outlierDetection: OUTLIER, circuitBreakers: { thresholds: [{ maxConnections: 2, maxPendingRequests: 3, maxRequests: 5, retryBudget: {} }] } },
  { outlierDetection: OUTLIER, circuitBreakers: { perHostThresholds: [{ maxConnections: 1 }] } },
];
const ACTIONS: readonly JsonObject[] = [{ timeout: '5s', retryPolicy: RETRY }, { timeout: '5s' }, { timeout: '5s', retryPolicy: RETRY, idleTimeout: '4s' }];
const CONFIGURATION: ReadonlySet<Step> = new Set(['cluster', 'endpoints', 'no cluster', 'routes', 'listener']);
const NAMES = ['a', 'b', 'c'];

/** A small mesh on which moves are played. */
export class RandomWorld {
  readonly engine = new TestEngine();
  readonly upstreams: TestUpstream[];
  readonly clients: TestClient[] = [];
  readonly calls: Call[] = [];
  readonly http2: boolean;
  mistakes = 0;

  constructor(http2: boolean) {
    this.http2 = http2;
    this.upstreams = NAMES.map((name) => this.engine.upstream(name, { http2, maxConcurrentStreams: name === 'c' ? 2 : 100 }));
  }

  async start(): Promise<void> {
    this.#cluster(0);
    this.engine.cluster('eds', { http2: this.http2, mesh: { outlier: { halfOpen: true } }, fields: FIELDS[0]! });
    this.engine.endpoints('eds', ['a', 'c']);
    this.#routes(0);
    await this.#listen();
    for (let i = 0; i < 6; i++) this.clients.push(this.engine.client('in', { http2: i % 2 === 0 }));
  }

  #cluster(pick: number): void {
    const endpoints = NAMES.slice(pick % 2);
    this.engine.cluster('static', { endpoints, http2: this.http2, mesh: { outlier: { halfOpen: pick % 3 > 0 } }, fields: FIELDS[pick % FIELDS.length]! });
  }

  #routes(pick: number): void {
    const header = { match: { prefix: '/eds' }, route: { cluster: 'eds', ...ACTIONS[(pick + 1) % ACTIONS.length] } };
    const dynamic = { match: { prefix: '/named' }, route: { clusterHeader: 'x-cluster', ...ACTIONS[0] } };
    this.engine.setRoutes({
      name: 'r',
      virtualHosts: [{ name: 'all', domains: ['*'], routes: [header, dynamic, routeTo('static', ACTIONS[pick % ACTIONS.length])] }],
    });
  }

  #listen(): Promise<void> {
    return this.engine.listener('in', { manager: { rds: { routeConfigName: 'r', configSource: { ads: {} } }, streamIdleTimeout: '20s' } });
  }

  async play({ step, pick, size, settled }: Move): Promise<void> {
    const { engine } = this;
    // Configuration that fails is refused whole, which is another matter.
    if (CONFIGURATION.has(step)) this.#heal();
    const client = choose(this.clients, pick);
    const call = choose(
      this.calls.filter(({ over }) => !over),
      pick,
    );
    const requests = this.upstreams.flatMap((upstream) => upstream.requests.filter(({ reset }) => reset === ''));
    const request = choose(requests.slice(-8), pick);
    const connection = choose(
      this.upstreams.flatMap(({ connections }) => connections).filter(({ closed }) => !closed),
      pick,
    );
    switch (step) {
      case 'connect':
        if (this.clients.length < 12) this.clients.push(engine.client('in', { http2: pick % 2 === 0 }));
        break;
      case 'request':
        this.#request(client, pick, size);
        break;
      case 'write':
        call?.write('x'.repeat(size));
        break;
      case 'finish':
        if (pick % 3 === 0) call?.finish(['t', '1']);
        else call?.write('', true);
        break;
      case 'abort':
        call?.abort();
        break;
      case 'client pause':
        call?.pause();
        break;
      case 'client resume':
        call?.resume();
        break;
      case 'client end':
        client?.end();
        break;
      case 'client destroy':
        client?.destroy();
        break;
      case 'mistake':
        this.#failOnce();
        break;
      case 'time':
        await engine.advance(pick * 5);
        break;
      case 'cluster':
        this.#cluster(pick);
        break;
      case 'endpoints':
        engine.endpoints(
          'eds',
          NAMES.filter((_name, i) => ((pick >> i) & 1) === 1),
        );
        break;
      case 'no cluster':
        engine.clusters.remove('static');
        break;
      case 'routes':
        this.#routes(pick);
        break;
      case 'listener':
        await this.#listen();
        break;
      case 'unreachable':
        engine.runtime.internalListeners.set('b', (transport) => transport.destroy());
        break;
      case 'upstream end':
        connection?.end();
        break;
      case 'upstream destroy':
        connection?.destroy();
        break;
      case 'goaway':
        connection?.drain();
        break;
      default:
        if (request !== undefined) act(request, step, pick, size);
    }
    if (settled) await engine.settle();
    for (const { ends } of this.calls) if (ends > 1) throw new Error(`a call with ${ends} ends`);
  }

  #request(client: TestClient | undefined, pick: number, size: number): void {
    if (client === undefined || client.closed || client.capacity === 0) return;
    const path = ['/', '/eds', '/named'][pick % 3]!;
    const headers = path === '/named' ? ['x-cluster', ['static', 'eds', 'nowhere'][(pick % 5) % 3]!] : [];
    const method = ['GET', 'PUT', 'POST', 'HEAD'][pick % 4]!;
    if (method === 'GET' || method === 'HEAD') this.calls.push(client.send({ method, path, headers }));
    else this.calls.push(client.send({ method, path, headers, body: 'x'.repeat(size), open: pick % 5 < 3 }));
  }

  /** The next time that anything asks for a random number, there is none. */
  #failOnce(): void {
    const { random } = this.engine.runtime;
    this.#heal();
    random.uint32 = () => {
      this.#heal();
      this.mistakes++;
      throw new Error('a mistake');
    };
  }

  #heal(): void {
    Reflect.deleteProperty(this.engine.runtime.random, 'uint32');
  }

  /** Nobody does anything any more, and time passes. */
  async end(): Promise<void> {
    for (const call of this.calls) call.resume();
    for (const upstream of this.upstreams) for (const request of upstream.requests) request.resume();
    await this.engine.advance(60_000);
  }
}

function act(request: Received, step: Step, pick: number, size: number): void {
  const status = [200, 200, 404, 500, 503, 204][pick % 6]!;
  switch (step) {
    case 'answer':
      request.respond(status, status === 204 ? {} : { body: 'y'.repeat(size) });
      break;
    case 'begin':
      request.begin(status === 204 ? 200 : status);
      break;
    case 'content':
      request.write('y'.repeat(size), pick % 4 === 0);
      break;
    case 'trailers':
      request.finish(['grpc-status', String(pick % 17)]);
      break;
    case 'inform':
      request.inform(103);
      break;
    case 'reset':
      request.abort();
      break;
    case 'refuse':
      request.refuse();
      break;
    case 'upstream pause':
      request.pause();
      break;
    case 'upstream resume':
      request.resume();
  }
}

function choose<T>(list: readonly T[], pick: number): T | undefined {
  return list[pick % Math.max(1, list.length)];
}
