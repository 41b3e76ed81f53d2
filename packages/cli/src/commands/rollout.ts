import type { RolloutActionName, RolloutArmView, RolloutView } from '@outrigger/control-plane/api';
import { type ApiClient, ApiFailure } from '../api/client.ts';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { duration, milliseconds, type OutputFormat, percent, printJson, table } from '../output.ts';
import { parseName } from '../workload/options.ts';
import { waitSeconds } from './apply.ts';

interface Common {
  namespace: string;
  output: OutputFormat;
  state: string;
}

export interface StartOptions extends Common {
  service: string;
  to: string;
  from?: string;
  steps?: string;
  every?: string;
  require?: string[];
  sticky?: string;
  mirrorFirst?: string;
  confidence?: string;
  minimumRequests?: string;
  deadline?: string;
  wait?: boolean | string;
}

const POLL_MS = 500;
/** A control plane that starts again is waited for. */
const AWAY_MS = 60_000;

export async function startRollout(options: StartOptions): Promise<void> {
  const api = apiOf(options.state);
  const seconds = waitSeconds(options.wait, Number.POSITIVE_INFINITY);
  const [service = '', space] = parseService(options.service);
  const namespace = space ?? parseName(options.namespace, '--namespace');
  const view = await api.post<RolloutView>('/rollouts', { namespace, name: service, spec: specOf(options, service) });
  if (seconds === undefined) return show(view, options.output);
  if (options.output === 'text') console.log(`rollout ${view.name}: ${view.verdict}`);
  await follow(api, view, seconds, options.output);
}

export async function rolloutStatus(options: Common & { service: string; wait?: boolean | string }): Promise<void> {
  const api = apiOf(options.state);
  const seconds = waitSeconds(options.wait, Number.POSITIVE_INFINITY);
  const view = await find(api, options);
  if (seconds !== undefined) await follow(api, view, seconds, options.output);
  else show(view, options.output);
}

export async function rolloutList(options: { namespace?: string; output: OutputFormat; state: string }): Promise<void> {
  const views = (await apiOf(options.state).get<RolloutView[]>('/rollouts')).filter(
    ({ namespace }) => options.namespace === undefined || namespace === options.namespace,
  );
  if (options.output === 'json') return printJson(views);
  if (views.length === 0) {
    console.log('no rollouts');
    return;
  }
  console.log(
    table(
      ['NAMESPACE', 'NAME', 'FROM', 'TO', 'PHASE', 'WEIGHT', 'HOW IT STANDS'],
      views.map((view) => [view.namespace, view.name, view.from || '-', view.to, view.phase, view.weight === null ? '-' : `${view.weight} %`, view.verdict]),
    ),
  );
}

export async function rolloutAction(options: Common & { service: string; action: RolloutActionName }): Promise<void> {
  const api = apiOf(options.state);
  const { namespace, name } = await find(api, options);
  show(await api.post<RolloutView>(`/rollouts/${namespace}/${name}/${options.action}`, {}), options.output);
}

function specOf(options: StartOptions, service: string): Record<string, unknown> {
  const { to, from, steps, every, require, sticky, mirrorFirst, confidence, minimumRequests, deadline } = options;
  return {
    service,
    to,
    ...(from === undefined ? {} : { from }),
    ...(steps === undefined ? {} : { steps: steps.split(',').map((step) => number(step.replace(/%$/, ''), '--steps')) }),
    ...(every === undefined ? {} : { every }),
    ...(require === undefined || require.length === 0 ? {} : { require }),
    ...(sticky === undefined ? {} : { sticky: stickiness(sticky) }),
    ...(mirrorFirst === undefined ? {} : { mirrorFirst: number(mirrorFirst.replace(/%$/, ''), '--mirror-first') }),
    ...(confidence === undefined ? {} : { confidence: number(confidence.replace(/%$/, ''), '--confidence') }),
    ...(minimumRequests === undefined ? {} : { minimumRequests: number(minimumRequests, '--minimum-requests') }),
    ...(deadline === undefined ? {} : { deadline }),
  };
}

function number(text: string, option: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new CliError(`${option} ${text}: not a number`, { exitCode: ExitCode.usage });
  return value;
}

function stickiness(text: string): Record<string, string> {
  const match = /^(header|cookie):(.+)$/.exec(text);
  if (match === null)
    throw new CliError(`--sticky ${text}: neither a header nor a cookie`, {
      next: '--sticky header:x-user or --sticky cookie:session',
      exitCode: ExitCode.usage,
    });
  return { [match[1]!]: match[2]! };
}

/** "order-service" or "order-service.shop". */
function parseService(text: string): string[] {
  const [service = '', namespace, ...rest] = text.replace(/\.svc\.cluster\.local$/, '').split('.');
  if (rest.length > 0) throw new CliError(`${text}: not a service of the mesh`, { next: 'SERVICE or SERVICE.NAMESPACE', exitCode: ExitCode.usage });
  return [parseName(service, 'service'), ...(namespace === undefined ? [] : [parseName(namespace, 'namespace')])];
}

async function find(api: ApiClient, options: Common & { service: string }): Promise<RolloutView> {
  const [service = '', space = options.namespace] = parseService(options.service);
  const views = (await api.get<RolloutView[]>('/rollouts')).filter(({ namespace }) => namespace === space);
  const view = views.find(({ name }) => name === service) ?? views.find((each) => each.service === service || each.service.startsWith(`${service}.`));
  if (view === undefined)
    throw new CliError(`there is no rollout of ${service} in namespace ${space}`, {
      next: '`rig rollout list` shows what there is; `rig rollout start` begins one',
    });
  return view;
}

/** Says what changes until it is over, paused, or the time is up. */
async function follow(api: ApiClient, first: RolloutView, seconds: number, output: OutputFormat): Promise<void> {
  const untilMs = Date.now() + seconds * 1000;
  let view = first;
  let said = first.history.length;
  let seenAtMs = Date.now();
  while (view.phase === 'progressing' && Date.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    let views: RolloutView[];
    try {
      views = await api.get<RolloutView[]>('/rollouts');
    } catch (error) {
      // It may be starting again; what it answers itself is another thing.
      if (error instanceof ApiFailure || Date.now() - seenAtMs > AWAY_MS) throw error;
      continue;
    }
    seenAtMs = Date.now();
    const now = views.find(({ namespace, name }) => namespace === first.namespace && name === first.name);
    if (now === undefined) throw new CliError(`rollout ${first.name} has been deleted`, { next: 'routes are as they are written again' });
    view = now;
    if (output === 'text') for (const { text } of view.history.slice(said)) console.log(`${progressBar(view)} ${text}`);
    said = view.history.length;
  }
  if (output === 'json') printJson(view);
  else console.log(`rollout ${view.name}: ${view.verdict}`);
  process.exitCode = view.phase === 'succeeded' ? ExitCode.ok : view.phase === 'progressing' || view.phase === 'paused' ? ExitCode.timeout : ExitCode.failed;
}

const BAR_WIDTH = 20;

function progressBar({ weight }: RolloutView): string {
  const filled = Math.round(((weight ?? 0) / 100) * BAR_WIDTH);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${String(weight ?? '-').padStart(3)} %`;
}

function show(view: RolloutView, output: OutputFormat): void {
  if (output === 'json') {
    printJson(view);
    return;
  }
  console.log(`rollout ${view.name} of ${view.service}: ${view.from} -> ${view.to}`);
  console.log(view.verdict);
  if (view.phase === 'waiting') return;
  const step = view.step < 0 ? `mirror ${view.mirror} %` : `${view.steps[view.step]} %`;
  console.log(`step ${step} of ${view.steps.join(', ')}; watched for ${duration(view.heldMs)} of ${duration(view.everyMs)}`);
  const row = (name: string, weight: number | null, arm: RolloutArmView): (string | number)[] => [
    name,
    weight === null ? '-' : `${weight} %`,
    arm.requests,
    arm.failures,
    percent(arm.successRatio),
    milliseconds(arm.p99Ms),
  ];
  const { weight } = view;
  console.log(
    table(
      ['VERSION', 'WEIGHT', 'REQUESTS', 'FAILED', 'SUCCESS', 'P99'],
      [row(view.from, weight === null ? null : 100 - weight, view.arms.from), row(view.to, weight, view.arms.to)],
    ),
  );
  for (const { requirement, state, text } of view.checks) console.log(`${requirement}: ${state}; ${text}`);
  for (const route of view.routes) console.log(`shifted: ${route}`);
}
