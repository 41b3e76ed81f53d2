import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAgent, type Svid } from '@outrigger/identity';
import { grpcBootstrap } from '@outrigger/translate';
import { createGrpcServer, createRelay } from '@outrigger/xds';
import { controlPlaneOf } from '../workload/control-plane.ts';
import { InstanceDirectory } from '../workload/directory.ts';
import { identityLog, identityOf } from '../workload/identity.ts';
import { nodeOf } from '../workload/node.ts';
import { type RunOptions, workloadOptions } from './run.ts';

/** Keeps an agent beside a gRPC client (`xds:///`): its identity as files, ADS on a Unix socket, until a signal. */
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
  write(await identityOf(agent));
  agent.onChange(write);
  const relay = createRelay({ upstream: { ...controlPlane.address(), tls: () => agent.clientTls() }, cacheFolder: directory.cache, onWarning: log });
  const server = await createGrpcServer({ listen: { socketPath: directory.adsSocket }, routes: relay.register });
  const text = grpcBootstrap({
    node: { ...nodeOf(workload, { httpProxy: undefined, mesh: [], accessLog: undefined }), dataPlane: 'grpc', onDemand: false, certificates: true },
    serverUri: `unix://${directory.adsSocket}`,
    certificates,
  });
  const file = options.outputFile ?? join(directory.path, 'grpc-bootstrap.json');
  writeFileSync(file, text, { mode: 0o600 });
  console.log(`GRPC_XDS_BOOTSTRAP=${file}`);
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  relay.close();
  await server.close();
  agent.stop();
}
