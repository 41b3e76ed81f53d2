import { rmSync } from 'node:fs';
import { type ControlPlaneTarget, createAgent, type WorkloadAgent } from '@outrigger/identity';
import type { InboundPort, ProxyNode } from '@outrigger/translate';
// Not by its index: the supervisor of each sidecar would load all of translation, with the parsers of what people write.
import { bootstrapText, envoyBootstrap } from '@outrigger/translate/bootstrap';
import { createGrpcServer, createRelay, createSdsRoutes, type GrpcServer, type GrpcTarget, type Relay, type SecretStore } from '@outrigger/xds';
import { joinedSecrets } from './certificate-store.ts';
import { InstanceDirectory } from './directory.ts';
import { followRoots, identityLog, identityOf } from './identity.ts';
import { nodeOf } from './node.ts';
import type { WorkloadOptions } from './options.ts';
import { freePorts } from './ports.ts';
import { ownProcess, type PlacedProxy, type PlaceProxy } from './proxy-process.ts';

const loopback = '127.0.0.1';
/** Longer than our proxy itself gives what is under way. */
const gatewayDrainGraceMs = 20_000;

export interface SidecarSetup {
  readonly options: WorkloadOptions;
  readonly stateDirectory: string;
  readonly controlPlane: ControlPlaneTarget;
  readonly log: (message: string) => void;
  /** Where its proxy runs; absent: in a process of its own. */
  readonly place?: PlaceProxy;
  /** Secrets beside its identity. */
  readonly secrets: SecretStore;
  readonly onReadiness: () => void;
}

/** The agent (identity, secrets, relay) and the proxy beside one workload. */
export class Sidecar {
  readonly #setup: SidecarSetup;
  readonly #directory: InstanceDirectory;
  #agent: WorkloadAgent | undefined;
  readonly #servers: GrpcServer[] = [];
  #relay: Relay | undefined;
  #adminPort = 0;
  #proxy: PlacedProxy | undefined;
  #node: ProxyNode | undefined;
  #metricsPort = 0;
  ready = false;

  constructor(setup: SidecarSetup) {
    this.#setup = setup;
    this.#directory = new InstanceDirectory(setup.stateDirectory, setup.options.namespace, setup.options.instance);
  }

  get httpProxyAddress(): string {
    const address = this.#node?.httpProxy;
    return address === undefined ? '' : `${address.host}:${address.port}`;
  }

  get metricsAddress(): string {
    // Envoy has its figures on its admin interface alone.
    return `${loopback}:${this.#setup.options.dataPlane === 'envoy' ? this.#adminPort : this.#metricsPort}`;
  }

  get nodeId(): string {
    return this.#node?.id ?? '';
  }

  get inbound(): readonly InboundPort[] {
    return this.#node?.inbound ?? [];
  }

  get directory(): InstanceDirectory {
    return this.#directory;
  }

  get proxyPid(): number {
    return this.#proxy?.pid ?? 0;
  }

  async start(): Promise<void> {
    const { options, log } = this.#setup;
    const directory = this.#directory;
    const agent = createAgent({
      namespace: options.namespace,
      serviceAccount: options.serviceAccount,
      controlPlane: this.#setup.controlPlane,
      directory: directory.identity,
      ttlSeconds: options.certificateTtlSeconds,
      onEvent: identityLog(log),
    });
    this.#agent = agent;
    await identityOf(agent);
    const secrets = createSdsRoutes(joinedSecrets(agent.secrets, this.#setup.secrets));
    this.#servers.push(await createGrpcServer({ listen: { socketPath: directory.secretsSocket }, methods: secrets.methods }));
    if (options.dataPlane === 'envoy') await this.startRelay();

    const [httpProxy = 0, admin = 0, metrics = 0, ...mesh] = await freePorts(3 + options.ports.length, {
      preferred: directory.rememberedPorts(),
      promised: () => directory.portsOfOthers(),
      promise: (ports) => directory.rememberPorts(ports),
    });
    this.#metricsPort = metrics;
    this.#adminPort = admin;
    this.#node = nodeOf(options, { httpProxy, mesh, accessLog: directory.accessLog });
    directory.write(
      directory.bootstrap,
      bootstrapText(
        envoyBootstrap({
          node: this.#node,
          ads: options.dataPlane === 'envoy' ? { pipe: directory.adsSocket } : { ...this.#setup.controlPlane.address(), spiffeIds: [agent.controlPlaneId] },
          sdsPipe: directory.secretsSocket,
          admin: { host: loopback, port: admin },
        }),
      ),
    );
    const place = this.#setup.place ?? ownProcess;
    this.#proxy = place({
      dataPlane: options.dataPlane,
      key: `${options.namespace}.${options.instance}`,
      bootstrapPath: directory.bootstrap,
      cacheDirectory: directory.cache,
      metricsAddress: this.metricsAddress,
      concurrency: options.concurrency ?? 1,
      logPath: directory.proxyLog,
      admin: { host: loopback, port: admin },
      ...(options.gateway === undefined ? {} : { drainGraceMs: gatewayDrainGraceMs }),
      log,
      onReadiness: (ready) => {
        this.ready = ready;
        this.#setup.onReadiness();
      },
    });
    await this.#proxy.start();
    this.ready = true;
  }

  /** Where the agent speaks to the control plane: its socket on this machine, or TCP under the workload's SVID. */
  controlPlaneTarget(): GrpcTarget {
    const { socketPath } = this.#setup.controlPlane;
    return socketPath === undefined ? this.adsTarget() : { socketPath };
  }

  /** The roots of the mesh as the control plane has them now. */
  trustBundle(rootsPem: readonly string[]): void {
    if (this.#agent !== undefined) followRoots(this.#agent, rootsPem);
  }

  /** Under the application and its open connections; where the new proxy does not come to serve, the old one goes on. */
  async restartProxy(): Promise<void> {
    await this.#proxy?.restart();
  }

  async stop(): Promise<void> {
    this.ready = false;
    await this.#proxy?.stop();
    this.#relay?.close();
    await Promise.all(this.#servers.map((server) => server.close()));
    this.#agent?.stop();
    for (const socket of [this.#directory.secretsSocket, this.#directory.adsSocket]) rmSync(socket, { force: true });
    this.#directory.release();
  }

  /** ADS is given only to the workload's own SVID. */
  private adsTarget(): GrpcTarget {
    const agent = this.#agent;
    if (agent === undefined) throw new Error('the agent is not started');
    return { ...this.#setup.controlPlane.address(), tls: () => agent.clientTls() };
  }

  private async startRelay(): Promise<void> {
    const relay = createRelay({ upstream: this.adsTarget(), cacheFolder: this.#directory.cache, onWarning: this.#setup.log });
    this.#relay = relay;
    this.#servers.push(await createGrpcServer({ listen: { socketPath: this.#directory.adsSocket }, methods: relay.methods }));
  }
}
