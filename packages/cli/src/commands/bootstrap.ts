import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent, type Svid } from '@outrigger/identity';
import { grpcBootstrap } from '@outrigger/translate';
import { createGrpcServer, createRelay } from '@outrigger/xds';
import { Application } from '../workload/application.ts';
import { controlPlaneOf } from '../workload/control-plane.ts';
import { InstanceDirectory } from '../workload/directory.ts';
import { followRoots, identityLog, identityOf } from '../workload/identity.ts';
import { nodeOf } from '../workload/node.ts';
import { Registration } from '../workload/registration.ts';
import { type RunOptions, workloadOptions } from './run.ts';

/** Callers learn that a server leaves within this time; then the agent ends. */
const leaveNoticeMs = 300;
/** The files of a certificate are looked at ten times in its life, but not oftener than the first and not seldomer than the second. */
const refreshSeconds = { least: 1, most: 60 };

/**
 * Keeps an agent beside a gRPC client (`xds:///`) or server: its identity as files, ADS on a Unix socket, until a signal. A server, which
 * has `--port`, is registered as soon as it takes connections.
 */
export async function bootstrapGrpc(options: Omit<RunOptions, 'command'> & { outputFile?: string }): Promise<void> {
  const workload = workloadOptions(options);
  const directory = new InstanceDirectory(options.state, workload.namespace, `${workload.instance}-grpc`);
  const controlPlane = controlPlaneOf(options.state, options.controlPlane, options.joinToken ?? process.env['OUTRIGGER_JOIN_TOKEN']);
  const log = (message: string): void => {
    process.stderr.write(`rig ${workload.name}: ${message}\n`);
  };
  const agent = createAgent({
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
    controlPlane,
    directory: directory.identity,
    ttlSeconds: workload.certificateTtlSeconds,
    onEvent: identityLog(log),
  });
  const certificates = {
    certificateFile: join(directory.path, 'certs/cert.pem'),
    privateKeyFile: join(directory.path, 'certs/key.pem'),
    bundleFile: join(directory.path, 'certs/bundle.pem'),
  };
  const write = (svid: Svid): void => {
    mkdirSync(join(directory.path, 'certs'), { recursive: true, mode: 0o700 });
    directory.write(certificates.bundleFile, svid.trustBundlePem.join('\n'));
    // The client reads the pair again at an interval and keeps the old one while the two do not match.
    directory.write(certificates.privateKeyFile, svid.privateKeyPem);
    directory.write(certificates.certificateFile, svid.certificateChainPem.join('\n'));
  };
  const identity = await identityOf(agent);
  write(identity);
  agent.onChange(write);
  const relay = createRelay({ upstream: { ...controlPlane.address(), tls: () => agent.clientTls() }, cacheFolder: directory.cache, onWarning: log });
  const server = await createGrpcServer({ listen: { socketPath: directory.adsSocket }, methods: relay.methods });
  // The application's own library is what callers reach: the port of the mesh is the application's.
  const mesh = workload.ports.map(({ applicationPort }) => applicationPort);
  const node = nodeOf(workload, { httpProxy: undefined, mesh, accessLog: undefined });
  const text = grpcBootstrap({
    node,
    serverUri: `unix://${directory.adsSocket}`,
    certificates: { ...certificates, refreshIntervalSeconds: refreshInterval(identity) },
  });
  const file = options.outputFile ?? join(directory.path, 'grpc-bootstrap.json');
  writeFileSync(file, text, { mode: 0o600 });
  console.log(`GRPC_XDS_BOOTSTRAP=${file}`);
  const stop = new AbortController();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        stop.abort();
        resolve();
      });
  });
  const registration = new Registration({
    options: workload,
    dataPlane: 'grpc',
    front: {
      inbound: node.inbound,
      metricsAddress: '',
      nodeId: node.id,
      proxyPid: 0,
      controlPlaneTarget: () =>
        controlPlane.socketPath === undefined ? { ...controlPlane.address(), tls: () => agent.clientTls() } : { socketPath: controlPlane.socketPath },
      trustBundle: (rootsPem) => followRoots(agent, rootsPem),
    },
    applicationPid: () => 0,
    log,
  });
  const application = new Application({ command: [], environment: {}, port: workload.ports[0]?.applicationPort, healthPath: '' });
  if (workload.ports.length > 0 && (await application.ready(stop.signal, log))) {
    await registration.start();
    application.watch((reason) => registration.health(reason === '', reason));
  }
  await ended;
  application.unwatch();
  if (workload.ports.length > 0) {
    registration.leave();
    await new Promise((resolve) => setTimeout(resolve, leaveNoticeMs));
    registration.stop();
  }
  relay.close();
  await server.close();
  agent.stop();
  directory.release();
}

function refreshInterval({ notAfterMs }: Svid): number {
  const lifeSeconds = Math.floor((notAfterMs - Date.now()) / 1000);
  return Math.min(refreshSeconds.most, Math.max(refreshSeconds.least, Math.floor(lifeSeconds / 10)));
}
