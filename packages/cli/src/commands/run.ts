import { giveBackMemory } from '@outrigger/proxy/give-back-memory';
import { CliError, ExitCode } from '../error.ts';
import type { GatewayOptions } from '../gateway/options.ts';
import { exitSoon, onStopSignals } from '../signals.ts';
import { signalNumber } from '../workload/child.ts';
import { parseConcurrency } from '../workload/concurrency.ts';
import { controlPlaneOf } from '../workload/control-plane.ts';
import { InstanceTaken } from '../workload/directory.ts';
import {
  instanceName,
  ownLabels,
  parseLabel,
  parseName,
  parsePort,
  parseUpstream,
  parseVersion,
  repeatedPort,
  type WorkloadOptions,
} from '../workload/options.ts';
import { answerRestarts } from '../workload/restart.ts';
import { Workload, type WorkloadSetup } from '../workload/workload.ts';

/** After that what the start has left is garbage, a tenth of what a supervisor holds (bench row `memory`). */
const settleMs = 5_000;

/** Of one name, version and port, without `--instance`. */
const maxCopies = 100;

export interface RunOptions {
  name: string;
  namespace: string;
  version?: string;
  serviceAccount?: string;
  instance?: string;
  port?: string[];
  upstream?: string[];
  label?: string[];
  locality?: string;
  healthPath?: string;
  dataPlane: string;
  concurrency?: string;
  certificateTtl?: string;
  otlp?: string;
  /** Of `rig gateway`. */
  gateway?: GatewayOptions;
  controlPlane?: string;
  joinToken?: string;
  state: string;
  command: string[];
}

/** `rig run` and, with an empty command, `rig sidecar` and `rig gateway`: until the application ends or a signal comes. */
export async function run(options: RunOptions): Promise<void> {
  const workload = claimWorkload(
    {
      options: workloadOptions(options),
      command: options.command,
      environment: process.env,
      stateDirectory: options.state,
      controlPlane: controlPlaneOf(options.state, options.controlPlane, options.joinToken ?? process.env['OUTRIGGER_JOIN_TOKEN']),
      log: (message) => process.stderr.write(`rig ${options.name}: ${message}\n`),
    },
    options.instance === undefined,
  );
  onStopSignals(
    // What a terminal's Ctrl-C ends, it has told so itself.
    (signal) => void workload.stop(signal, signal === 'SIGINT' && process.stdin.isTTY),
    (signal) => process.exit(128 + signalNumber(signal)),
  );
  answerRestarts(workload.sidecar, (message) => process.stderr.write(`rig ${options.name}: ${message}\n`));
  await workload.start();
  setTimeout(giveBackMemory, settleMs).unref();
  const { code } = await workload.ended;
  exitSoon(code);
}

/** A second copy beside the first gets a number, unless it was given a name: `rig run --name web -- curl ...` goes beside a web that runs. */
function claimWorkload(setup: WorkloadSetup, mayRename: boolean): Workload {
  const { instance } = setup.options;
  for (let copy = 1; ; copy++) {
    try {
      return new Workload(copy === 1 ? setup : { ...setup, options: { ...setup.options, instance: `${instance}-${copy}` } });
    } catch (error) {
      if (!(error instanceof InstanceTaken) || !mayRename || copy === maxCopies) throw error;
    }
  }
}

/** Checks and completes what the command line said. */
export function workloadOptions(options: Omit<RunOptions, 'state' | 'command' | 'controlPlane' | 'joinToken'>): WorkloadOptions {
  const name = parseName(options.name, '--name');
  const version = parseVersion(options.version ?? '');
  const ports = (options.port ?? []).map((text) => parsePort(text));
  const twice = repeatedPort(ports);
  if (twice !== undefined)
    throw new CliError(`--port ${twice.servicePort} is given twice`, { next: 'each port of the service once', exitCode: ExitCode.usage });
  if (options.dataPlane !== 'outrigger' && options.dataPlane !== 'envoy')
    throw new CliError(`--data-plane ${options.dataPlane}: no data plane`, { next: 'outrigger or envoy', exitCode: ExitCode.usage });
  const certificateTtlSeconds = Number(options.certificateTtl ?? 0);
  if (!Number.isInteger(certificateTtlSeconds) || certificateTtlSeconds < 0)
    throw new CliError(`--certificate-ttl ${options.certificateTtl}: not a number of seconds`, { exitCode: ExitCode.usage });
  return {
    name,
    namespace: parseName(options.namespace, '--namespace'),
    version,
    serviceAccount: options.serviceAccount === undefined ? name : parseName(options.serviceAccount, '--service-account'),
    instance: options.instance === undefined ? instanceName(name, version, ports[0]) : parseName(options.instance, '--instance'),
    labels: { ...ownLabels(name, version), ...Object.fromEntries((options.label ?? []).map((text) => parseLabel(text))) },
    locality: options.locality ?? '',
    ports,
    upstreams: (options.upstream ?? []).map((text) => parseUpstream(text)),
    dataPlane: options.dataPlane,
    concurrency: parseConcurrency(options.concurrency ?? '1'),
    healthPath: options.healthPath ?? '',
    certificateTtlSeconds,
    otlp: options.otlp ?? '',
    ...(options.gateway === undefined ? {} : { gateway: options.gateway }),
  };
}
