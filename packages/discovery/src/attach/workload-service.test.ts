import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Code, ConnectError, createClient, Code as Status } from '@connectrpc/connect';
import { createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { type Caller, createGrpcServer, type GrpcServer, type StreamMethod } from '@outrigger/xds';
import { type AttachRequest, AttachRequestSchema, type AttachResponse, WorkloadService } from '@outrigger/xds/protos/outrigger/v1/workload';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AttachedRegistry, createAttachedRegistry } from '../registry/attached-registry.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { input } from '../testing/registrations.ts';
import { MAX_MESSAGES_PER_SECOND, type WorkloadServiceOptions, workloadMethods } from './workload-service.ts';

const HOST = 'order-service.default.svc.cluster.local';
const ORDER = 'spiffe://cluster.local/ns/default/sa/order-service';

let directory: string;
let server: GrpcServer;
let clock: FakeClock;
let registry: AttachedRegistry;
let roots: string[];
let announce: () => void;
let managers: Http2SessionManager[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'attach-'));
  clock = new FakeClock();
  registry = createAttachedRegistry({ clock, trustDomain: 'cluster.local' });
  roots = ['root 1'];
  announce = () => {};
  managers = [];
});

afterEach(async () => {
  for (const manager of managers) manager.abort();
  await server?.close();
  rmSync(directory, { recursive: true });
});

/** A server that takes every caller for this one, as the real one does after a handshake. */
async function serve(caller: Caller, options: Partial<WorkloadServiceOptions> = {}): Promise<void> {
  const trustBundle = {
    current: () => roots,
    onChange(listener: () => void) {
      announce = listener;
      return () => {
        announce = () => {};
      };
    },
  };
  const methods = workloadMethods({ registry, clock, trustDomain: 'cluster.local', trustBundle, ...options });
  const as =
    (method: StreamMethod): StreamMethod =>
    (call) =>
      method({ caller, send: (message) => call.send(message), end: (error) => call.end(error) });
  server = await createGrpcServer({ listen: { socketPath: join(directory, 's') }, methods: new Map([...methods].map(([path, method]) => [path, as(method)])) });
}

class Stream {
  readonly #queue: AttachRequest[] = [];
  #wake = () => {};
  #ended = false;
  readonly answers: AsyncIterator<AttachResponse>;
  readonly manager = new Http2SessionManager('http://localhost', undefined, { createConnection: () => createConnection(join(directory, 's')) });

  constructor() {
    managers.push(this.manager);
    const client = createClient(WorkloadService, createGrpcTransport({ baseUrl: 'http://localhost', sessionManager: this.manager }));
    this.answers = client.attach(this.#requests())[Symbol.asyncIterator]();
  }

  async *#requests(): AsyncGenerator<AttachRequest> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else if (this.#ended) return;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  send(message: MessageInitShape<typeof AttachRequestSchema>['message']): this {
    this.#queue.push(create(AttachRequestSchema, { message: message! }));
    this.#wake();
    return this;
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async next(): Promise<AttachResponse['message']> {
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error('the stream ended');
    return value.message;
  }

  /** Registers and takes the two answers that follow. */
  async registered(changes: Parameters<typeof input>[0] = {}): Promise<this> {
    this.send({ case: 'register', value: input(changes) as never });
    expect(await this.next()).toMatchObject({ case: 'registered', value: { trustDomain: 'cluster.local', heartbeatIntervalMs: 500 } });
    expect(await this.next()).toMatchObject({ case: 'trustBundle', value: { rootsPem: roots } });
    return this;
  }

  async refusal(): Promise<{ code: Code; message: string }> {
    const error = await this.answers.next().then(
      () => undefined,
      (reason) => ConnectError.from(reason),
    );
    if (error === undefined) throw new Error('it was accepted');
    return { code: error.code, message: error.rawMessage };
  }
}

function changed(): Promise<void> {
  return new Promise((resolve) => {
    const stop = registry.onChange(() => {
      stop();
      resolve();
    });
  });
}

const caller = { spiffeId: ORDER, remote: 'test' };

describe('a stream', () => {
  test('registers, answers heartbeats, reports health, drains', async () => {
    await serve(caller);
    const stream = await new Stream().registered();
    expect(registry.instancesOf(HOST)).toHaveLength(1);
    stream.send({ case: 'heartbeat', value: { sequence: 7n } });
    expect(await stream.next()).toMatchObject({ case: 'heartbeat', value: { sequence: 7n } });
    let change = changed();
    stream.send({ case: 'health', value: { healthy: false, reason: 'HTTP 500' } });
    await change;
    expect(registry.instancesOf(HOST)[0]!.health).toBe('UNHEALTHY');
    change = changed();
    stream.send({ case: 'leave', value: {} });
    await change;
    expect(registry.instancesOf(HOST)[0]!.health).toBe('DRAINING');
  });

  test.each(['ends', 'breaks'])('that %s takes its instance out at once', async (how) => {
    await serve(caller);
    const stream = await new Stream().registered();
    const change = changed();
    if (how === 'ends') stream.end();
    else stream.manager.abort();
    await change;
    expect(registry.instancesOf(HOST)).toEqual([]);
  });

  test('whose heartbeats stop is ended with the reason', async () => {
    await serve(caller);
    const stream = await new Stream().registered();
    clock.advance(1500);
    expect(registry.instancesOf(HOST)).toEqual([]);
    expect(await stream.refusal()).toMatchObject({ code: Status.DeadlineExceeded, message: expect.stringContaining('heartbeat') });
  });

  test('whose agent came back by another one is ended', async () => {
    await serve(caller);
    const old = await new Stream().registered();
    await new Stream().registered();
    expect(await old.refusal()).toMatchObject({ code: Status.Aborted });
    expect(registry.instancesOf(HOST)).toHaveLength(1);
  });

  test('is told of new roots', async () => {
    await serve(caller);
    const stream = await new Stream().registered();
    roots = ['root 1', 'root 2'];
    announce();
    expect(await stream.next()).toMatchObject({ case: 'trustBundle', value: { rootsPem: ['root 1', 'root 2'] } });
  });

  test('may say more of the same instance, not of another', async () => {
    await serve(caller);
    const stream = await new Stream().registered();
    const change = changed();
    stream.send({ case: 'register', value: input({ weight: 5 }) as never });
    await change;
    expect(registry.instancesOf(HOST)[0]!.weight).toBe(5);
    stream.send({ case: 'register', value: input({ instance: 'other' }) as never });
    expect(await stream.refusal()).toMatchObject({ code: Status.InvalidArgument });
    await new Promise<void>((resolve) => (registry.instancesOf(HOST).length === 0 ? resolve() : void changed().then(resolve)));
    expect(registry.instancesOf(HOST)).toEqual([]);
  });

  test('that says too much is ended', async () => {
    await serve(caller);
    const stream = await new Stream().registered();
    for (let i = 0; i <= MAX_MESSAGES_PER_SECOND; i += 1) stream.send({ case: 'heartbeat', value: { sequence: BigInt(i) } });
    let refused: unknown;
    while (refused === undefined) await stream.next().catch((error) => (refused = error));
    expect(ConnectError.from(refused).code).toBe(Status.ResourceExhausted);
  });

  test('that does not register first is ended', async () => {
    await serve(caller);
    const stream = new Stream().send({ case: 'heartbeat', value: {} });
    expect(await stream.refusal()).toMatchObject({ code: Status.InvalidArgument, message: expect.stringContaining('register') });
  });

  test('that says nothing is ended', async () => {
    await serve(caller);
    const silent = new Stream();
    const refusal = silent.refusal();
    const timer = await clock.nextTimer();
    clock.advance(timer - clock.now());
    expect(await refusal).toMatchObject({ code: Status.DeadlineExceeded });
  });
});

describe('who may register what', () => {
  test.each([
    ['another service account', { spiffeId: 'spiffe://cluster.local/ns/default/sa/web', remote: '' }],
    ['another namespace', { spiffeId: 'spiffe://cluster.local/ns/shop/sa/order-service', remote: '' }],
    ['another trust domain', { spiffeId: 'spiffe://evil.local/ns/default/sa/order-service', remote: '' }],
  ])('not %s', async (_who, other) => {
    await serve(other);
    const stream = new Stream().send({ case: 'register', value: input() as never });
    expect(await stream.refusal()).toMatchObject({ code: Status.PermissionDenied, message: expect.stringContaining(other.spiffeId) });
    expect([...registry.instances()]).toEqual([]);
  });

  test('not who shows nothing', async () => {
    await serve({ spiffeId: undefined, remote: '' });
    expect(await new Stream().send({ case: 'register', value: input() as never }).refusal()).toMatchObject({ code: Status.Unauthenticated });
  });

  test('not an instance of a service called otherwise than the account, unless that is allowed', async () => {
    await serve(caller);
    const message = { case: 'register' as const, value: input({ service: 'payment-service' }) as never };
    expect(await new Stream().send(message).refusal()).toMatchObject({ code: Status.PermissionDenied, message: expect.stringContaining('payment-service') });
    await server.close();
    await serve(caller, { mayServe: ({ service, serviceAccount }) => service === 'payment-service' && serviceAccount === 'order-service' });
    await new Stream().registered({ service: 'payment-service' });
  });

  test('a local process whose user may', async () => {
    await serve({ spiffeId: undefined, remote: 'unix', peer: { uid: 1000, pid: 1 } }, { permitsUid: (uid) => uid === 1000 });
    await new Stream().registered();
  });

  test('no local process whose user may not', async () => {
    await serve({ spiffeId: undefined, remote: 'unix', peer: { uid: 1001, pid: 1 } }, { permitsUid: (uid) => uid === 1000 });
    expect(await new Stream().send({ case: 'register', value: input() as never }).refusal()).toMatchObject({ code: Status.PermissionDenied });
  });

  test('nothing that is malformed', async () => {
    await serve(caller);
    expect(await new Stream().send({ case: 'register', value: input({ address: '0.0.0.0' }) as never }).refusal()).toMatchObject({
      code: Status.InvalidArgument,
      message: expect.stringContaining('0.0.0.0'),
    });
  });
});
