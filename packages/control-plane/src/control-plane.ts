import { randomBytes } from 'node:crypto';
import { IdentityError, peerCredentialsReader } from '@outrigger/identity';
import { defaultSettings, type MeshSettings } from '@outrigger/translate';
import {
  createAdsRoutes,
  createGrpcServer,
  type GrpcServer,
  GrpcServerError,
  type GrpcServerOptions,
  loadTypeRegistry,
  type StreamMethods,
} from '@outrigger/xds';
import { Access } from './api/access.ts';
import { ApiServer, listenError } from './api/api-server.ts';
import { Events } from './api/events.ts';
import { apiRoutes } from './api/routes.ts';
import { Certificates } from './certificates/certificates.ts';
import { systemClock } from './clock.ts';
import { type ConfigChange, Configuration } from './config/configuration.ts';
import { WatchedFolder } from './folder/folder.ts';
import { type KeptSettings, meshConfigKind, meshNetworksKind, type SettingsKind, SettingsSource } from './folder/mesh-settings.ts';
import { type Addresses, type Clock, type ControlPlane, type ControlPlaneOptions, StartError } from './options.ts';
import { ownMetrics } from './own-metrics.ts';
import { problemsOf } from './problems.ts';
import { MeshState } from './push/mesh-state.ts';
import { PushSource } from './push/push-source.ts';
import { openSrvRecords } from './registry/srv-records.ts';
import { World } from './registry/world.ts';
import { Rollouts } from './rollout/rollouts.ts';
import { type SettledOptions, settle } from './settled-options.ts';
import { openStateDirectory, type StateDirectory } from './state/state-directory.ts';
import { openStore, type Store } from './store/open-store.ts';
import { StoreError } from './store/store-error.ts';
import { dropKeptSamples, KeptSamples } from './telemetry/kept-samples.ts';
import { Telemetry } from './telemetry/telemetry.ts';

/** A part that takes longer to end is left behind. */
const STOP_LIMIT_MS = 1_900;
const CLUSTER_DOMAIN = 'cluster.local';

/** The settings of the mesh as people write them. `told` by them: until the mesh runs there is nobody to tell. */
interface SettingsInUse {
  readonly meshConfig: SettingsSource;
  readonly meshNetworks: SettingsSource;
  readonly told: { settings: () => void; problems: () => void };
}

function openSettings({ meshConfigFile, meshNetworksFile, log = () => {} }: ControlPlaneOptions, clock: Clock): SettingsInUse {
  const told = { settings: () => {}, problems: () => {} };
  const open = (kind: SettingsKind, path: string | undefined): SettingsSource =>
    new SettingsSource({ kind, path, clock, log, onSettings: () => told.settings(), onProblems: () => told.problems() });
  return { meshConfig: open(meshConfigKind, meshConfigFile), meshNetworks: open(meshNetworksKind, meshNetworksFile), told };
}

/** Starts the three roles (configuration, certificates, telemetry) in this process. Throws a `StartError`, leaving nothing behind. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const clock = options.clock ?? systemClock;
  const written = openSettings(options, clock);
  const settled = settle({ ...written.meshConfig.atStart, ...options, clock });
  const state = openStateDirectory(options.stateDirectory);
  const closers: (() => void | Promise<void>)[] = [() => state.release()];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= close(closers);
    return stopping;
  };
  try {
    const addresses = await start(settled, state, written, (closer) => closers.push(closer));
    return { addresses, stop };
  } catch (error) {
    await stop();
    throw startError(error, state);
  }
}

async function start(
  options: SettledOptions,
  state: StateDirectory,
  written: SettingsInUse,
  onStop: (closer: () => void | Promise<void>) => void,
): Promise<Addresses> {
  const { clock, log, trustDomain, rootNamespace } = options;
  const startedAtMs = clock.now();
  const store = await openStore(state.store, {
    now: () => clock.now(),
    ...(options.historyRevisions === undefined ? {} : { historyRevisions: options.historyRevisions }),
  });
  onStop(() => store.close());

  // Certificates.
  const certificates = await Certificates.open({
    records: store.records('authority'),
    trustDomain,
    rootNamespace,
    ttlMs: options.certificateTtlMs,
    names: options.externalNames,
    clock,
    log,
  });
  onStop(() => certificates.stop());
  const events = new Events(clock);
  onStop(() => events.stop());

  // Configuration: what is written and what exists become the mesh, and that is pushed.
  const keptSettings = options.configDirectory === undefined ? undefined : store.records<KeptSettings>('setting');
  for (const source of [written.meshConfig, written.meshNetworks]) {
    source.start({ trustDomain, rootNamespace }, keptSettings);
    onStop(() => source.stop());
  }
  const inForce = (): MeshSettings => ({
    ...defaultSettings,
    ...written.meshConfig.settings,
    ...written.meshNetworks.settings,
    ...(options.outboundPolicy === undefined ? {} : { outboundPolicy: options.outboundPolicy }),
    trustDomain,
    rootNamespace,
  });
  const mesh: MeshState = new MeshState(inForce(), await loadTypeRegistry(), () => push.meshChanged());
  written.told.settings = () => mesh.change({ settings: inForce() }, clock.now());
  written.told.problems = () => events.emit('problems');
  const push: PushSource = new PushSource({
    mesh,
    clock,
    trustDomain,
    log,
    onProxies: () => {
      events.emit('proxies');
      events.emit('resources');
      events.emit('problems');
    },
  });
  onStop(() => push.stop());
  const rollouts: Rollouts = new Rollouts({
    clock,
    log,
    records: store.records('rollout'),
    resources: () => configuration.resources,
    world: { service: (hostname) => world.service(hostname), instancesOf: (hostname) => world.instancesOf(hostname) },
    domainSuffix: CLUSTER_DOMAIN,
    change: (change) => mesh.change(change, clock.now()),
    onChange: () => {
      events.emit('rollouts');
      events.emit('resources');
    },
  });
  const { watch: srv, stop: stopSrv } = openSrvRecords({
    clock,
    servers: options.dnsServers,
    records: store.records('srv'),
    log,
    onFault: () => {
      events.emit('problems');
      events.emit('resources');
    },
  });
  onStop(() => stopSrv());
  const world: World = new World({
    clock,
    trustDomain,
    records: store.records('instance'),
    trustBundle: {
      current: () => certificates.authority.trustBundle().rootsPem,
      onChange: (listener) => certificates.authority.onTrustBundleChange(listener),
    },
    srv,
    log,
    onChange: (change) => {
      mesh.change({ ...change, ...rollouts.worldChanged() }, clock.now());
      events.emit('services');
    },
  });
  const configuration: Configuration = await Configuration.open({
    store: store.resources,
    rootNamespace,
    clusterDomain: CLUSTER_DOMAIN,
    world: () => world.seen(),
    meshConfig: () => written.meshConfig.document,
    watchesFolder: options.configDirectory !== undefined,
    onChange: (change) => configChanged(change),
  });
  onStop(() => configuration.close());
  const configChanged = ({ put, remove, revision, timeMs }: ConfigChange): void => {
    world.configChanged({ put, remove }, () => configuration.resources);
    mesh.change(rollouts.adapt({ put, remove }), timeMs, revision);
    events.emit('resources');
  };
  world.configChanged({ put: configuration.resources, remove: [] }, () => configuration.resources);
  srv.forgetUnwanted();
  onStop(() => rollouts.stop());
  mesh.change(rollouts.adapt({ put: configuration.resources, remove: [] }), clock.now(), configuration.revision);

  let folder: WatchedFolder | undefined;
  if (options.configDirectory !== undefined) {
    folder = new WatchedFolder({
      directory: options.configDirectory,
      configuration,
      clock,
      log,
      onProblems: () => events.emit('problems'),
      onSettings: ({ meshConfigs, meshNetworks }) => {
        written.meshConfig.folderHas(meshConfigs);
        written.meshNetworks.folderHas(meshNetworks);
      },
      settingsOf: (path) => ({ meshConfigs: written.meshConfig.inForceFrom(path), meshNetworks: written.meshNetworks.inForceFrom(path) }),
    });
    onStop(() => folder?.stop());
    await folder.start();
  }

  // Telemetry.
  const telemetry = new Telemetry({
    clock,
    log,
    intervalMs: options.scrapeIntervalMs,
    requestSamples: options.requestSamples,
    world,
    watcher: rollouts,
    onChange: () => {
      rollouts.tick();
      events.emit('top');
      events.emit('graph');
    },
  });
  if (options.requestSamples) {
    const kept = new KeptSamples({ directory: state.requestSamples, samples: telemetry.samples, clock, log });
    kept.start();
    onStop(() => kept.stop());
  } else dropKeptSamples(state.requestSamples);
  onStop(() => telemetry.stop());

  // What others reach.
  const ads = createAdsRoutes(push);
  onStop(() => ads.close());
  const agents = [...certificates.methods, ...world.methods];
  const grpc = await serveGrpc(options, certificates, new Map([...agents, ...telemetry.methods, ...ads.methods]));
  onStop(() => grpc.close());
  const agentServer = await createGrpcServer({
    listen: { socketPath: state.agentSocket },
    methods: new Map(agents),
    peerCredentials: await peerCredentialsReader(),
  });
  onStop(() => agentServer.close());
  // Before the streams end: those that we end ourselves do not take their instances out of the registry.
  onStop(() => world.stop());

  const access = new Access({
    clock,
    secret: accessSecret(store),
    hosts: options.apiOnLoopback ? ['127.0.0.1', 'localhost', '::1', ...options.externalNames] : options.externalNames,
    scheme: options.apiOnLoopback ? 'http' : 'https',
  });
  let addresses: Addresses;
  const server = new ApiServer({
    access,
    dashboardDirectory: options.dashboardDirectory,
    log,
    routes: apiRoutes({
      version: () => ({ version: options.version, trustDomain, rootNamespace, configRevision: configuration.revision, startedAtMs }),
      configuration,
      mesh,
      push,
      certificates,
      telemetry,
      events,
      services: () => world.views(),
      attached: () => world.attached(),
      resolvedSrv: () => world.resolvedSrv(),
      srvStates: (owner) => srv.statesOf(owner),
      rollouts,
      problems: () => [
        ...problemsOf({
          folder,
          settings: [written.meshConfig, written.meshNetworks],
          mesh,
          push,
          registered: world.registered(),
          srv: srv.states(),
          telemetry,
        }),
        ...rollouts.problems,
      ],
      notes: () => [...written.meshConfig.notes, ...written.meshNetworks.notes],
      dashboardUrl: () => `${addresses.api}/?token=${access.oneTimeToken()}`,
      metrics: () => ownMetrics({ configuration, mesh, push, certificates, srv, telemetry }),
    }),
  });
  onStop(() => server.close());
  const apiTls = options.apiOnLoopback ? undefined : certificates.tls;
  const apiPort = await server.listenPort(
    options.api.host,
    options.api.port,
    apiTls === undefined ? undefined : { key: String(apiTls.key), cert: String(apiTls.cert) },
  );
  if (apiTls !== undefined) certificates.onTlsChange(({ key, cert }) => server.setTls({ key: String(key), cert: String(cert) }));
  await server.listenSocket(state.apiSocket);

  const api = `${options.apiOnLoopback ? 'http' : 'https'}://${hostText(options.apiOnLoopback ? options.api.host : (options.externalNames[0] ?? options.api.host))}:${apiPort}`;
  addresses = {
    grpc: `${hostText(options.grpc.host)}:${grpc.port}`,
    agentSocket: state.agentSocket,
    apiSocket: state.apiSocket,
    api,
    dashboard: `${api}/?token=${access.oneTimeToken()}`,
    trustDomain,
    stateDirectory: state.path,
  };
  // The one-time address is for whoever started this, not for a file.
  state.publish('control-plane.json', JSON.stringify({ ...addresses, dashboard: api, pid: process.pid }, undefined, 2));
  state.publish('api-token', access.bearerToken());
  telemetry.start();
  return addresses;
}

async function serveGrpc(options: SettledOptions, certificates: Certificates, methods: StreamMethods): Promise<GrpcServer> {
  const { host, port } = options.grpc;
  const server = await grpcServer({ listen: { host, port }, tls: certificates.tls, methods }, `${hostText(host)}:${port}`);
  certificates.onTlsChange((tls) => server.setTls(tls));
  return server;
}

async function grpcServer(options: GrpcServerOptions, where: string): Promise<GrpcServer> {
  try {
    return await createGrpcServer(options);
  } catch (error) {
    if (error instanceof GrpcServerError) throw listenError((error.cause ?? error) as NodeJS.ErrnoException, where);
    throw error;
  }
}

/** Signs sessions; made with the store. */
function accessSecret(store: Store): Buffer {
  const records = store.records<string>('setting');
  const kept = records.get('access-secret');
  if (kept !== undefined) return Buffer.from(kept, 'base64');
  const secret = randomBytes(32);
  records.put('access-secret', secret.toString('base64'));
  return secret;
}

/** The last started ends first. */
async function close(closers: readonly (() => void | Promise<void>)[]): Promise<void> {
  const ended = (async () => {
    for (const closer of closers.toReversed()) {
      try {
        await closer();
      } catch {
        // The others must end too.
      }
    }
  })();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_LIMIT_MS);
  });
  await Promise.race([ended, limit]);
  clearTimeout(timer);
}

function startError(error: unknown, state: StateDirectory): unknown {
  if (error instanceof StoreError) {
    const code = error.code === 'FOREIGN' ? 'STORE_FOREIGN' : error.code === 'BROKEN' ? 'STORE_BROKEN' : 'STATE_DIRECTORY';
    return new StartError(code, error.message, state.store, error.next, { cause: error });
  }
  if (error instanceof IdentityError) {
    const code = error.code === 'store-corrupt' ? 'STORE_BROKEN' : 'BAD_OPTION';
    return new StartError(
      code,
      error.message,
      state.path,
      'Start with the trust domain that this state directory was made with, or give another one (--state DIR).',
      { cause: error },
    );
  }
  if (error instanceof GrpcServerError)
    return new StartError('ADDRESS_REFUSED', error.message, state.agentSocket, 'Give a state directory with a shorter path (--state DIR).', { cause: error });
  return error;
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
