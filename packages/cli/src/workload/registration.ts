import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { GrpcConnection, type GrpcStream } from '@outrigger/xds';
import { type AttachRequest, AttachRequestSchema, AttachResponseSchema } from '@outrigger/xds/protos/outrigger/v1/workload';
import { boundPort } from '../gateway/options.ts';
import { portName } from './node.ts';
import type { WorkloadOptions } from './options.ts';
import type { Sidecar } from './sidecar.ts';

const path = '/outrigger.v1.WorkloadService/Attach';
const defaultHeartbeatMs = 500;
/** A control plane that is away is asked again after this long, with jitter, doubling up to the second figure. */
const reconnectMinMs = 100;
const reconnectMaxMs = 2000;
/** `start` does not wait longer: without a control plane the sidecar serves those who know it. */
const firstAnswerMs = 5000;

/** What stands between callers and the application: a sidecar, or the application's own gRPC library. */
export type Front = Pick<Sidecar, 'inbound' | 'metricsAddress' | 'nodeId' | 'proxyPid' | 'controlPlaneTarget' | 'trustBundle'>;

export interface RegistrationSetup {
  readonly options: WorkloadOptions;
  readonly dataPlane: 'outrigger' | 'envoy' | 'grpc';
  readonly front: Front;
  readonly applicationPid: () => number;
  readonly log: (message: string) => void;
}

/** Keeps one instance registered: a stream that is the lease, heartbeats on it, and a new one whenever it breaks. */
export class Registration {
  readonly #setup: RegistrationSetup;
  #connection: GrpcConnection | undefined;
  #stream: GrpcStream | undefined;
  #heartbeats: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = reconnectMinMs;
  #sequence = 0n;
  #healthy = true;
  #reason = '';
  #warning = '';
  #stopped = false;
  #leaving = false;
  #complained = false;
  #registered: () => void = () => {};

  constructor(setup: RegistrationSetup) {
    this.#setup = setup;
  }

  /** Until the control plane has answered, or for a bounded time: it goes on trying in the background. */
  async start(): Promise<void> {
    const registered = new Promise<void>((resolve) => {
      this.#registered = resolve;
    });
    void this.connect();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      registered,
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, firstAnswerMs);
      }),
    ]);
    clearTimeout(timer);
  }

  health(healthy: boolean, reason: string): void {
    if (healthy === this.#healthy && reason === this.#reason) return;
    this.#healthy = healthy;
    this.#reason = reason;
    this.sendHealth();
  }

  /** What does not take it out of service, and somebody should see to: a line each. */
  warn(problems: readonly string[]): void {
    const text = problems.join('\n');
    if (text === this.#warning) return;
    this.#warning = text;
    if (this.#healthy) this.sendHealth();
  }

  private sendHealth(): void {
    const reason = this.#healthy ? this.#warning : this.#reason;
    this.send({ message: { case: 'health', value: { $typeName: 'outrigger.v1.Health', healthy: this.#healthy, reason } } });
  }

  /** Callers stop sending; what is under way goes on. */
  leave(): void {
    this.#leaving = true;
    this.send({ message: { case: 'leave', value: { $typeName: 'outrigger.v1.Leave' } } });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.disconnect();
    // An application that ended at once: nobody need wait for the answer any more.
    this.#registered();
  }

  private async connect(): Promise<void> {
    try {
      const connection = await GrpcConnection.connect(this.#setup.front.controlPlaneTarget());
      if (this.#stopped) return connection.close();
      this.#connection = connection;
      this.#stream = connection.open(path, {
        onMessage: (bytes) => this.answered(bytes),
        onEnd: (error) => this.lost(error?.message ?? 'the control plane ended the registration'),
      });
      this.send({ message: { case: 'register', value: this.register() } });
      if (!this.#healthy || this.#warning !== '') this.sendHealth();
      if (this.#leaving) this.leave();
    } catch (error) {
      this.lost(error instanceof Error ? error.message : String(error));
    }
  }

  private answered(bytes: Uint8Array): void {
    const { message } = fromBinary(AttachResponseSchema, bytes);
    if (message.case === 'registered') {
      this.#retryMs = reconnectMinMs;
      if (this.#complained) this.#setup.log('registered with the control plane again');
      this.#complained = false;
      clearInterval(this.#heartbeats);
      this.#heartbeats = setInterval(
        () => this.send({ message: { case: 'heartbeat', value: { $typeName: 'outrigger.v1.Heartbeat', sequence: ++this.#sequence } } }),
        message.value.heartbeatIntervalMs || defaultHeartbeatMs,
      );
      this.#registered();
    } else if (message.case === 'trustBundle') this.#setup.front.trustBundle(message.value.rootsPem);
  }

  private lost(why: string): void {
    if (this.#stopped) return;
    this.disconnect();
    if (!this.#complained) this.#setup.log(`not registered: ${why}; trying again, serving with what is known`);
    this.#complained = true;
    this.#retry = setTimeout(() => void this.connect(), this.#retryMs * (0.5 + Math.random()));
    this.#retryMs = Math.min(this.#retryMs * 2, reconnectMaxMs);
  }

  private disconnect(): void {
    clearInterval(this.#heartbeats);
    this.#stream = undefined;
    this.#connection?.close();
    this.#connection = undefined;
  }

  private send(request: Pick<AttachRequest, 'message'>): void {
    this.#stream?.send(toBinary(AttachRequestSchema, create(AttachRequestSchema, request)));
  }

  private register(): Extract<AttachRequest['message'], { case: 'register' }>['value'] {
    const { options, dataPlane, front, applicationPid } = this.#setup;
    return {
      $typeName: 'outrigger.v1.Register',
      instance: options.instance,
      namespace: options.namespace,
      service: options.name,
      serviceAccount: options.serviceAccount,
      // Nobody takes it for a sidecar: what a gateway's port speaks, its resources say.
      labels: { ...options.labels, ...(options.gateway === undefined ? {} : { [ROLE_LABEL]: 'gateway' }) },
      locality: options.locality,
      weight: 1,
      ports: registeredPorts(options, front).map((port) => ({
        $typeName: 'outrigger.v1.Port',
        ...port,
      })),
      address: '127.0.0.1',
      dataPlane,
      metricsAddress: front.metricsAddress,
      nodeId: front.nodeId,
      applicationPid: applicationPid(),
      proxyPid: front.proxyPid,
    };
  }
}

/** Tells the registry that nothing is behind it. */
const ROLE_LABEL = 'outrigger.dev/role';

function registeredPorts({ gateway, ports }: WorkloadOptions, { inbound }: Front) {
  if (gateway === undefined)
    return inbound.map(({ name, protocol, servicePort, application, mesh }) => ({
      name,
      protocol: protocol as string,
      servicePort,
      applicationPort: application.port,
      meshPort: mesh.port,
    }));
  return ports.map(({ protocol, servicePort, applicationPort }, index) => {
    const bound = boundPort(gateway, applicationPort);
    return { name: portName(ports, index), protocol: protocol.toUpperCase(), servicePort, applicationPort: bound, meshPort: bound };
  });
}
