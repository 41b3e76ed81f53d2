import { readFileSync } from 'node:fs';
import { CliError } from '../error.ts';
import { whyUnreadable } from '../files.ts';
import { FileWatch } from '../node/file-watch.ts';
import { Node } from '../node/node.ts';
import { type NodeWorkload, problemsText, readWorkloads } from '../node/workloads-file.ts';
import { exitSoon, onStopSignals } from '../signals.ts';
import { signalNumber } from '../workload/child.ts';
import { controlPlaneOf } from '../workload/control-plane.ts';
import { RESTART_SIGNAL } from '../workload/restart.ts';

export interface NodeOptions {
  readonly filename: string;
  readonly controlPlane?: string;
  readonly joinToken?: string;
  readonly state: string;
}

/** `rig node`: all workloads of a host, until a signal comes. SIGHUP and a change of the file put the file into effect. */
export async function node({ filename, controlPlane, joinToken, state }: NodeOptions): Promise<void> {
  const log = (message: string): void => {
    process.stderr.write(`rig node: ${message}\n`);
  };
  let said = '';
  const first = workloadsOf(filename);
  const shared = joinToken ?? process.env['OUTRIGGER_JOIN_TOKEN'];
  const host = new Node({
    stateDirectory: state,
    controlPlane: (own) => controlPlaneOf(state, controlPlane, own ?? shared),
    environment: process.env,
    log,
  });
  await host.start();
  const reload = (): void => {
    try {
      const workloads = workloadsOf(filename);
      if (said !== '') log(`${filename} is in order again`);
      said = '';
      void host.apply(workloads);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (text !== said) log(`${text}\nnothing is changed until the file is in order`);
      said = text;
    }
  };
  const watch = new FileWatch(filename, reload);
  process.on('SIGHUP', reload);
  process.on(RESTART_SIGNAL, () => void host.restart());
  const ended = new Promise<NodeJS.Signals>((resolve) => {
    onStopSignals(
      (signal) => {
        watch.close();
        host.stop(signal).then(() => resolve(signal));
      },
      (signal) => process.exit(128 + signalNumber(signal)),
      ['SIGINT', 'SIGTERM'],
    );
  });
  await host.apply(first);
  log(`${first.length} workload${first.length === 1 ? '' : 's'} from ${filename}`);
  await ended;
  exitSoon(0);
}

function workloadsOf(file: string): readonly NodeWorkload[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CliError(`the file of workloads cannot be read: ${whyUnreadable(cause)}`, { where: file, next: 'docs/cli.md has an example', cause });
  }
  const { workloads, problems } = readWorkloads(text, file);
  if (problems.length > 0) throw new CliError(problemsText(file, problems), { next: 'docs/cli.md has an example' });
  return workloads;
}
