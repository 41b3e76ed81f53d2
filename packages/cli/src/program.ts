import { Command, CommanderError, Option } from 'commander';
import { changeCommands } from './change-commands.ts';
import { MESH_CONFIG, NAMESPACE_OF_FILES, OUTBOUND_POLICY, several, WAIT } from './command-parts.ts';
import { CliError, describe, ExitCode } from './error.ts';
import { rolloutCommands } from './rollout-commands.ts';
import { defaultStateDirectory, meshDirectory } from './state.ts';

/** Builds the command line. Each action imports its command when it is called. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('rig')
    .description('Outrigger: a service mesh without the operational tax.')
    .addOption(new Option('--state <dir>', 'state directory of the mesh (default: ~/.outrigger)').env('OUTRIGGER_STATE'))
    // By main.ts alone: as an option of the whole program it would take the place of each command's own.
    .addHelpText('after', '\n`rig --version` prints the version.')
    .exitOverride()
    .showHelpAfterError('(`rig --help` lists the commands)')
    .configureHelp({ sortSubcommands: false });
  /** Of `rig up` and whatever makes state. */
  const state = (): string => program.opts<{ state?: string }>().state ?? defaultStateDirectory();
  /** Of what talks to a mesh that runs: the demo's where only that runs. */
  const mesh = (): string => program.opts<{ state?: string }>().state ?? meshDirectory();
  const output = (): Option => new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text');
  const example = (command: Command, text: string): Command => command.addHelpText('after', `\nExample:\n${text.replace(/^/gm, '  ')}`);

  example(
    program
      .command('up')
      .description('run the control plane: configuration, certificates, telemetry')
      .option('--config <dir>', 'folder of YAML to watch')
      .option('--mesh-config <file>', "the mesh's settings (MeshConfig), read again when it changes")
      .option('--mesh-networks <file>', "the mesh's networks (MeshNetworks), read again when it changes")
      .option('--trust-domain <name>', 'SPIFFE trust domain (default: cluster.local)')
      .option('--root-namespace <name>', 'namespace whose policies hold for all (default: istio-system)')
      .option(...OUTBOUND_POLICY)
      .option('--xds-address <host:port>', 'where sidecars connect', '127.0.0.1:15012')
      .option('--dashboard-address <host:port>', 'where the dashboard listens', '127.0.0.1:15014')
      .option('--certificate-ttl <seconds>', 'life of a workload certificate', '86400')
      .option('--external-name <name...>', 'names and addresses by which others reach addresses that are not loopback')
      .option('--dns-server <address...>', 'DNS servers, ADDRESS or ADDRESS:PORT, to ask for outrigger.dev/srv names; else those of this machine')
      .option('--no-request-samples', 'do not ask sidecars for the heads of some of their requests (`rig plan --replay` has nothing then)')
      .addOption(output())
      .action(async (options) => (await import('./commands/up.ts')).up({ ...options, state: state() })),
    'rig up --config ./mesh',
  );

  /** What a proxy is in the mesh. */
  const named = (command: Command, instance: string): Command =>
    command
      .requiredOption('--name <name>', 'service, service account and label app')
      .option('--namespace <name>', 'namespace', 'default')
      .option('--version <version>', 'label version')
      .option('--service-account <name>', 'service account, if it is not the name')
      .option('--instance <name>', `name of this copy (default: ${instance})`)
      .option('--locality <region/zone/subzone>', 'where it runs');
  const joining = (command: Command, whose = ''): Command =>
    command
      .option('--control-plane <host:port>', 'a control plane elsewhere (with --join-token)')
      .option('--join-token <token>', `what \`rig token create\` printed (or OUTRIGGER_JOIN_TOKEN)${whose}`);
  /** How it is run. */
  const proxied = (command: Command): Command =>
    joining(
      command
        .option('--data-plane <name>', 'outrigger or envoy', 'outrigger')
        .option('--concurrency <n>', 'processes of the proxy (threads of an Envoy), or auto for one a core', '1')
        .option('--certificate-ttl <seconds>', 'life of its certificate (default: what the control plane gives)')
        .option('--otlp <host:port>', 'OTLP/HTTP collector for spans'),
    );
  const workload = (command: Command): Command =>
    proxied(
      named(command, 'NAME-VERSION-PORT')
        .option('--port <port...>', '[PROTOCOL:]SERVICE_PORT[:APPLICATION_PORT], PROTOCOL one of http, http2, grpc, tcp')
        .option('--upstream <upstream...>', 'SERVICE[:PORT]=127.0.0.1:PORT, a loopback port that leads to a service')
        .option('--label <label...>', 'KEY=VALUE')
        .option('--health-path <path>', 'path that must answer below 400 before traffic comes'),
    );

  example(
    workload(program.command('run'))
      .description('run an application with its sidecar')
      .argument('<command...>', 'the application, after --')
      .action(async (command: string[], options) => (await import('./commands/run.ts')).run({ ...options, command, state: mesh() })),
    'rig run --name order-service --version v1 --port 8080:9001 -- python3 app.py',
  );
  example(
    workload(program.command('sidecar'))
      .description('run the sidecar alone, beside a process that somebody else manages')
      .action(async (options) => (await import('./commands/run.ts')).run({ ...options, command: [], state: mesh() })),
    'rig sidecar --name order-service --port 9001',
  );
  example(
    joining(
      program
        .command('node')
        .description('run all workloads of a host, with the sidecars of all in one process')
        .requiredOption('-f, --filename <file>', 'YAML list of workloads; a change of it, or SIGHUP, adds, drains and replaces what is another by then'),
      ', for workloads that have none of their own',
    ).action(async (options) => (await import('./commands/node.ts')).node({ ...options, state: mesh() })),
    'rig node -f workloads.yaml',
  );
  example(
    program
      .command('workloads')
      .description('what Deployments and Services of Kubernetes say, as a list of workloads for `rig node`')
      .requiredOption('-f, --filename <path...>', 'file, folder or - for standard input')
      .option('--services', 'in its place ServiceEntries for Services that select workloads of another one, as those of a version')
      .action(async (options) => (await import('./commands/workloads.ts')).workloads(options)),
    'rig workloads -f bookinfo.yaml > workloads.yaml',
  );
  example(
    proxied(
      named(program.command('gateway'), 'NAME')
        .description('run a gateway: a proxy at the edge of the mesh, with listeners as the Gateway resources that select it say')
        .option('--label <label...>', 'KEY=VALUE, which selectors of Gateway resources match (istio=ingressgateway)')
        .option('--address <ip>', 'where its listeners are bound', '0.0.0.0')
        .option('--port-map <map...>', 'PORT=PORT: a port of the resources, and the one that is bound in its place')
        .option('--port-offset <number>', 'added to every other port, where one may not bind those below 1024', '0')
        .option('--certificates <dir>', 'certificates by credentialName: NAME.crt and NAME.key, or NAME/tls.crt and NAME/tls.key')
        .option('--port <port...>', '[PROTOCOL:]PORT that others in the mesh may name, for egress'),
    ).action(async (options) => (await import('./commands/gateway.ts')).gateway({ ...options, state: mesh() })),
    'rig gateway --name ingress --label istio=ingressgateway --certificates ./certificates --port-map 80=8080 443=8443',
  );
  example(
    program
      .command('restart')
      .description('replace the proxy of sidecars that run, under their applications and open connections')
      .argument('[instance...]', 'as `rig status` names it, without its namespace')
      .option('-n, --namespace <name>', 'namespace of the instances', 'default')
      .option('--all', 'every sidecar of this state directory, one after the other')
      .action(async (instances: string[], options) => (await import('./commands/restart.ts')).restart({ ...options, instances, state: mesh() })),
    'rig restart order-service-v1-9001\nrig restart --all',
  );
  program.command('proxy', { hidden: true }).description('the data plane alone, from an Envoy bootstrap file').option('-c, --config <file>');

  example(
    program
      .command('demo')
      .description('run the demo mesh: a shop of five services')
      .argument('[experiment...]', 'kill INSTANCE, revive INSTANCE, fail SERVICE, heal SERVICE, call FROM URL: on the demo that is running')
      .option('--headless', 'no terminal: run, then one line of summary')
      .option('--exit-after <seconds>', 'stop after so many seconds of load')
      .option('--envoy <service...>', 'give the instances of these services a real Envoy as sidecar')
      .option('--rate <perSecond>', 'requests a second', '40')
      .option('--keep-state', 'keep the configuration of the last demo')
      .addOption(output())
      .action(async (experiment: string[], options) =>
        (await import('./commands/demo.ts')).demo({ ...options, experiment, state: program.opts<{ state?: string }>().state }),
      ),
    'rig demo\nrig demo kill payment-service-2',
  );

  example(
    program
      .command('check')
      .description('is this machine ready, is the mesh well; each failure with what to do')
      .addOption(output())
      .action(async (options) => (await import('./commands/check.ts')).check({ ...options, state: mesh() })),
    'rig check',
  );
  example(
    program
      .command('status')
      .description('proxies: sync, certificate time left, configuration; and what is wrong')
      .addOption(output())
      .action(async (options) => (await import('./commands/status.ts')).status({ ...options, state: mesh() })),
    'rig status',
  );
  const files = (command: Command): Command =>
    command.requiredOption('-f, --filename <path...>', 'file, folder or - for standard input').option(...NAMESPACE_OF_FILES);
  example(
    files(program.command('apply'))
      .description('write resources into the mesh, all or none')
      .option(...WAIT)
      .option('--dry-run', 'validate and compare only')
      .addOption(
        new Option(
          '--replay-gate [percent]',
          'refuse where more than so many percent of the requests that were seen would fare otherwise (1 if not said), or off',
        ).env('OUTRIGGER_REPLAY_GATE'),
      )
      .option('--replay-window <time>', 'which requests the gate judges by', '1h')
      .addOption(
        new Option('--replay-unseen <decision>', 'where the gate has no request to judge by: refuse (exit code 5), or apply')
          .choices(['refuse', 'apply'])
          .default('refuse')
          .env('OUTRIGGER_REPLAY_UNSEEN'),
      )
      .addOption(output())
      .action(async (options) => (await import('./commands/apply.ts')).apply({ ...options, state: mesh() })),
    'rig apply -f canary.yaml --wait\nrig apply -f canary.yaml --replay-gate=0.5',
  );
  changeCommands(program, { output, example, mesh });
  example(
    program
      .command('delete')
      .description('remove resources')
      .argument('[kind]', 'kind, as in VirtualService')
      .argument('[name]', 'name')
      .option('-f, --filename <path...>', 'the resources in these files')
      .option('-n, --namespace <name>', 'namespace', 'default')
      .option(...WAIT)
      .addOption(output())
      .action(async (kind: string | undefined, name: string | undefined, options) =>
        (await import('./commands/delete.ts')).remove({ ...options, kind, name, state: mesh() }),
      ),
    'rig delete -f canary.yaml\nrig delete VirtualService order-service',
  );
  example(
    program
      .command('get')
      .description('resources with their status')
      .argument('[kind]', 'kind, as in VirtualService; all if absent')
      .argument('[name]', 'name')
      .option('-n, --namespace <name>', 'one namespace only')
      .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json', 'yaml']).default('text'))
      .action(async (kind: string | undefined, name: string | undefined, options) =>
        (await import('./commands/get.ts')).get({ ...options, kind, name, state: mesh() }),
      ),
    'rig get VirtualService order-service -o yaml',
  );
  example(
    program
      .command('analyze')
      .description('what is wrong with these files, with no mesh running')
      .argument('<files...>', 'files, folders or - for standard input')
      .option(...NAMESPACE_OF_FILES)
      .option('--fail-on <level>', 'exit 1 from this level on: Error, Warning, Info', 'Error')
      .option(...MESH_CONFIG)
      .option('--mesh-networks <file>', "the mesh's networks (MeshNetworks)")
      .option('--all-codes', 'those too that most meshes have on purpose')
      .option('--suppress <code=resource>', 'leave out: "IST0102=Namespace shop-*"; may be given again', several, [])
      .option('--fix', 'write what is mechanical into the files, comments and formatting kept; without it the difference is shown')
      .addOption(output())
      .action(async (paths: string[], options) => (await import('./commands/analyze.ts')).analyzeFiles({ ...options, files: paths })),
    'rig analyze -o json mesh/',
  );
  example(
    program
      .command('simulate')
      .description('what would become of a request, with no mesh running')
      .requiredOption('-f, --file <files...>', 'files, folders or - for standard input')
      .option('--from <namespace/workload>', 'asked by the proxy beside a workload that calls; with --to who calls')
      .option('--gateway <namespace/name>', 'asked by a gateway: a Gateway, of either API, or a ListenerSet')
      .option('--to <namespace/workload:port>', 'asked by the proxy beside a workload that is called')
      .option('--request <request>', "'METHOD URL', 'tcp HOST:PORT' or 'tls NAME:PORT'")
      .option('-H, --header <header>', "'NAME: VALUE', several times", several, [])
      .option('--mtls', 'with --to: over mutual TLS of the mesh (the default)')
      .option('--plaintext', 'with --to: without TLS')
      .option(...OUTBOUND_POLICY)
      .option(...MESH_CONFIG)
      .option(...NAMESPACE_OF_FILES)
      .addOption(output())
      .action(async ({ file, ...options }) => (await import('./commands/simulate.ts')).simulate({ ...options, files: file })),
    "rig simulate -f mesh/ --from default/web --request 'GET http://orders:8080/42' -H 'x-user: jason'",
  );
  example(
    program
      .command('top')
      .description('a live line per service: rate, success, latency, mTLS, breaker')
      .option('--once', 'print once and end')
      .addOption(output())
      .action(async (options) => (await import('./commands/top.ts')).top({ ...options, state: mesh() })),
    'rig top',
  );
  example(
    program
      .command('dashboard')
      .description('a new address of the dashboard, to be opened once in a browser')
      .addOption(output())
      .action(async (options) => (await import('./commands/dashboard.ts')).dashboard({ ...options, state: mesh() })),
    'rig dashboard',
  );
  rolloutCommands(program, { output, example, mesh });
  const token = program.command('token').description('join tokens, by which workloads elsewhere show who they are');
  example(
    token
      .command('create')
      .requiredOption('--name <name>', 'service account that it stands for')
      .option('--namespace <name>', 'namespace', 'default')
      .option('--ttl <seconds>', 'how long it can be used', '3600')
      .addOption(output())
      .action(async (options) => (await import('./commands/token.ts')).createToken({ ...options, state: mesh() })),
    'rig token create --name order-service',
  );
  const bootstrap = program.command('bootstrap').description('write a bootstrap for a client of the control plane');
  example(
    workload(bootstrap.command('grpc'))
      .description('for a gRPC client or server without a proxy (GRPC_XDS_BOOTSTRAP): keeps an agent beside it until it is ended')
      .option('--output-file <file>', 'where to write it')
      .action(async (options) => (await import('./commands/bootstrap.ts')).bootstrapGrpc({ ...options, state: mesh() })),
    'rig bootstrap grpc --name web --output-file grpc.json\nrig bootstrap grpc --name greeter --port grpc:8080:50051',
  );

  // An option that is missing or misspelt is one of its command.
  const helped = (command: Command, path: string): void => {
    for (const below of command.commands)
      helped(below.showHelpAfterError(`(\`${path} ${below.name()} --help\` has its options and an example)`), `${path} ${below.name()}`);
  };
  helped(program, 'rig');
  try {
    await program.parseAsync(argv as string[]);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
      return;
    }
    process.stderr.write(`rig: ${describe(error)}\n`);
    process.exitCode = error instanceof CliError ? error.exitCode : ExitCode.failed;
  }
}
