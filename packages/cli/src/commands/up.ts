import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { StartError, startControlPlane } from '@outrigger/control-plane';
import { ProcessGarbage } from '@outrigger/proxy/give-back-memory';
import { keepHeapTrimmed } from '@outrigger/proxy/heap-trim';
import { CliError, ExitCode } from '../error.ts';
import { outboundPolicyOf } from '../outbound-policy.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { exitSoon, onStopSignals } from '../signals.ts';
import { version } from '../version.ts';

export interface UpOptions {
  config?: string;
  meshConfig?: string;
  meshNetworks?: string;
  trustDomain?: string;
  rootNamespace?: string;
  outboundPolicy?: string;
  xdsAddress: string;
  dashboardAddress: string;
  certificateTtl: string;
  externalName?: string[];
  dnsServer?: string[];
  requestSamples: boolean;
  output: OutputFormat;
  state: string;
}

/** Options of the control plane as they are written here. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  trustDomain: '--trust-domain',
  rootNamespace: '--root-namespace',
  certificateTtlMs: '--certificate-ttl',
  externalNames: '--external-name',
  dnsServers: '--dns-server',
  'grpc.host': '--xds-address',
  'grpc.port': '--xds-address',
  'api.host': '--dashboard-address',
  'api.port': '--dashboard-address',
};

/** Runs the control plane until SIGTERM or SIGINT. */
export async function up(options: UpOptions): Promise<void> {
  const policy = outboundPolicyOf(options.outboundPolicy);
  const ttlSeconds = Number(options.certificateTtl);
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1)
    throw new CliError(`--certificate-ttl ${options.certificateTtl}: not a number of seconds`, { exitCode: ExitCode.usage });
  // Beside the bundle that this is part of.
  const dashboardDirectory = fileURLToPath(new URL('./dashboard', import.meta.url));
  let controlPlane: Awaited<ReturnType<typeof startControlPlane>>;
  try {
    controlPlane = await startControlPlane({
      version,
      stateDirectory: options.state,
      ...(options.config === undefined ? {} : { configDirectory: options.config }),
      ...(options.meshConfig === undefined ? {} : { meshConfigFile: options.meshConfig }),
      ...(options.meshNetworks === undefined ? {} : { meshNetworksFile: options.meshNetworks }),
      ...(options.trustDomain === undefined ? {} : { trustDomain: options.trustDomain }),
      ...(options.rootNamespace === undefined ? {} : { rootNamespace: options.rootNamespace }),
      ...policy,
      grpc: bind(options.xdsAddress, '--xds-address'),
      api: bind(options.dashboardAddress, '--dashboard-address'),
      ...(options.externalName === undefined ? {} : { externalNames: options.externalName }),
      ...(options.dnsServer === undefined ? {} : { dnsServers: options.dnsServer }),
      ...(existsSync(dashboardDirectory) ? { dashboardDirectory } : {}),
      certificateTtlMs: ttlSeconds * 1000,
      requestSamples: options.requestSamples,
      log: (entry) => {
        if (entry.level !== 'debug' || process.env['RIG_DEBUG']) process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
      },
    });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const where = OPTION_NAMES[error.where] ?? error.where;
    throw new CliError(error.message, { where, next: error.next, cause: error, ...(error.code === 'BAD_OPTION' ? { exitCode: ExitCode.usage } : {}) });
  }
  const garbage = new ProcessGarbage();
  // A thousand sidecars that connect leave as much behind as they keep.
  keepHeapTrimmed(() => garbage.collect(performance.now(), 0));
  const { addresses } = controlPlane;
  if (options.output === 'json') printJson(addresses);
  else {
    console.log(`control plane of ${addresses.trustDomain}, state in ${addresses.stateDirectory}`);
    console.log(`  sidecars:  ${addresses.grpc} (and ${addresses.agentSocket})`);
    console.log(`  dashboard: ${addresses.dashboard}`);
    if (options.config !== undefined) console.log(`  watching:  ${options.config}`);
    console.log('Ctrl-C ends it; sidecars go on with what they know.');
  }
  const ended = new Promise<void>((resolve) =>
    onStopSignals(
      () => resolve(),
      () => process.exit(ExitCode.failed),
    ),
  );
  await ended;
  await controlPlane.stop();
  exitSoon(ExitCode.ok);
}

function bind(text: string, option: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new CliError(`${option} ${text}: not HOST:PORT`, { next: 'for example 127.0.0.1:15012', exitCode: ExitCode.usage });
  return { host: match[1] ?? match[2] ?? '', port };
}
