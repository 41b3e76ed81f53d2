import type { ApplyResult, Message, WaitResult } from '@outrigger/control-plane/api';
import { refText } from '@outrigger/resources';
import { type ApiClient, ApiFailure } from '../api/client.ts';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { messageLine } from '../messages.ts';
import { milliseconds, type OutputFormat, printJson } from '../output.ts';
import { parseName } from '../workload/options.ts';
import { DEFAULT_GATE_WINDOW, type GateAnswer, GateRefusal, gatePercent, passReplayGate } from './replay-gate.ts';

export interface ApplyOptions {
  filename: string[];
  namespace: string;
  wait?: boolean | string;
  dryRun?: boolean;
  replayGate?: boolean | string;
  replayWindow?: string;
  replayUnseen?: 'refuse' | 'apply';
  output: OutputFormat;
  state: string;
}

/** Unless --wait says otherwise. */
const defaultWaitSeconds = 30;

export async function apply(options: ApplyOptions): Promise<void> {
  const api = apiOf(options.state);
  const seconds = waitSeconds(options.wait);
  const percent = gatePercent(options.replayGate);
  const gate = percent === undefined ? undefined : await gated(api, options, percent);
  const result = await send(api, options, options.dryRun === true, gate?.revision);
  const waited = seconds !== undefined && options.dryRun !== true ? await waitFor(api, result.revision, seconds) : undefined;
  if (options.output === 'json') printJson({ ...result, ...(waited ? { wait: waited } : {}), ...(gate ? { replay: gate.replay } : {}) });
  else {
    for (const message of result.messages) console.error(messageLine(message));
    for (const applied of result.applied) console.log(`${refText(applied)} ${applied.change}${options.dryRun ? ' (dry run)' : ''}`);
    printSkipped(result);
    if (result.applied.length === 0 && Object.keys(result.skipped).length === 0) console.log('these files hold no resource');
    if (waited) printWait(waited);
  }
  if (waited) process.exitCode = waitExitCode(waited);
}

/** Where requests that were really seen would fare otherwise, they are shown and nothing is sent. */
async function gated(api: ApiClient, options: ApplyOptions, percent: number): Promise<GateAnswer> {
  const { filename, namespace, output, replayWindow = DEFAULT_GATE_WINDOW, replayUnseen = 'refuse' } = options;
  try {
    return await passReplayGate(api, readConfigFiles(filename), {
      namespace: parseName(namespace, '--namespace'),
      percent,
      window: replayWindow,
      unseen: replayUnseen,
      print: (line) => output === 'text' && console.error(line),
    });
  } catch (error) {
    if (error instanceof GateRefusal && output === 'json')
      printJson({
        error: {
          code: error.exitCode === ExitCode.undecided ? 'REPLAY_GATE_UNSEEN' : 'REPLAY_GATE',
          what: error.message,
          where: error.where,
          next: error.next,
        },
        replay: error.replay,
      });
    throw error;
  }
}

/** What apply would change, as a unified diff a resource. Exit code 1 where there is a difference. */
export async function diffOfFiles(options: Pick<ApplyOptions, 'filename' | 'namespace' | 'output' | 'state'>): Promise<void> {
  const result = await send(apiOf(options.state), options, true);
  const changes = result.applied.filter(({ change }) => change !== 'unchanged');
  if (options.output === 'json') printJson(changes);
  else {
    for (const changed of changes)
      console.log(`${refText(changed)} ${changed.change === 'created' ? 'would be created' : 'would change'}\n${changed.diff ?? ''}`);
    if (changes.length === 0) console.log('no difference');
  }
  process.exitCode = changes.length > 0 ? ExitCode.failed : ExitCode.ok;
}

async function send(
  api: ApiClient,
  options: Pick<ApplyOptions, 'filename' | 'namespace' | 'output'>,
  dryRun: boolean,
  ifRevision?: string,
): Promise<ApplyResult> {
  try {
    const namespace = parseName(options.namespace, '--namespace');
    return await api.post<ApplyResult>('/apply', {
      documents: readConfigFiles(options.filename),
      dryRun,
      namespace,
      ...(ifRevision === undefined ? {} : { ifRevision }),
    });
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.status !== 422) throw error;
    const messages = (error.body as Partial<ApplyResult>)?.messages ?? error.messages;
    if (options.output === 'json') printJson(error.body);
    throw refused(messages, options.output);
  }
}

export function refused(messages: readonly Message[], output: OutputFormat): CliError {
  if (output === 'text') for (const message of messages) console.error(messageLine(message));
  const errors = messages.filter(({ level }) => level === 'Error').length;
  return new CliError(`refused: ${errors} error${errors === 1 ? '' : 's'}; nothing has been changed`, { next: 'mend the lines named above and try again' });
}

/** Of `--wait`; undefined: nobody waits. To be asked before anything is changed. */
export function waitSeconds(wait: boolean | string | undefined, otherwise = defaultWaitSeconds): number | undefined {
  if (wait === undefined || wait === false) return undefined;
  if (wait === true) return otherwise;
  const seconds = Number(wait);
  if (!Number.isFinite(seconds) || seconds <= 0)
    throw new CliError(`--wait ${wait}: not a number of seconds`, { next: 'a number above 0, or --wait alone', exitCode: ExitCode.usage });
  return seconds;
}

export async function waitFor(api: ApiClient, revision: string, seconds: number): Promise<WaitResult> {
  return api.get<WaitResult>(`/wait?revision=${encodeURIComponent(revision)}&timeoutMs=${Math.round(seconds * 1000)}`, seconds * 1000 + 5000);
}

export function waitExitCode(waited: WaitResult): number {
  return waited.done ? (waited.refused.length > 0 ? ExitCode.failed : ExitCode.ok) : ExitCode.timeout;
}

export function printWait(waited: WaitResult): void {
  if (waited.done && waited.affected === 0) console.log('no connected proxy has needed it so far; sidecars ask with their first call');
  else if (waited.done)
    console.log(
      `in effect on ${waited.acknowledged} of ${waited.affected} ${waited.affected === 1 ? 'proxy' : 'proxies'} after ${milliseconds(waited.elapsedMs)}`,
    );
  else
    console.log(
      `after ${milliseconds(waited.elapsedMs)} acknowledged by ${waited.acknowledged} of ${waited.affected} ${waited.affected === 1 ? 'proxy' : 'proxies'}; still missing: ${waited.laggards.join(', ')}`,
    );
  for (const { node, message } of waited.refused) console.log(`refused by ${node}: ${message}`);
}

/** Nothing of them is the mesh's; a Service that no workload makes here is what routes will miss. */
function printSkipped({ skipped, absentServices }: Pick<ApplyResult, 'skipped' | 'absentServices'>): void {
  const kinds = Object.entries(skipped);
  if (kinds.length === 0) return;
  console.log(
    `left out: ${kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')}. Kubernetes acts on these; here \`rig workloads\` makes a list of them for \`rig node\` (docs/from-istio.md)`,
  );
  if (absentServices.length > 0) console.log(`of these Services the mesh has none yet: ${absentServices.join(', ')}`);
}
