import { writeFileSync } from 'node:fs';
import { messagesOf } from '@outrigger/analysis';
import type { MeshView } from '@outrigger/control-plane/mesh-view';
import { type ReadResult, readResources } from '@outrigger/resources';
import { loadTypeRegistry } from '@outrigger/xds';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { type ConfigFile, readConfigFiles } from '../files.ts';
import { outboundPolicyOf } from '../outbound-policy.ts';
import { printJson } from '../output.ts';
import { readRevision } from '../plan/git.ts';
import { planMarkdown } from '../plan/markdown.ts';
import { type Plan, planOf } from '../plan/plan.ts';
import { planText } from '../plan/print.ts';
import { RISKS, type Risk } from '../plan/risk.ts';
import { inputOfFiles, inputOfMesh } from '../plan/sources.ts';
import { ageMsOf, readTraffic, trafficOf, trafficText } from '../plan/traffic.ts';
import { parseName } from '../workload/options.ts';
import { refused } from './apply.ts';

export interface PlanOptions {
  readonly filename?: string[];
  readonly from?: string[];
  readonly fromRev?: string;
  readonly toRev?: string;
  readonly namespace: string;
  readonly prune?: boolean;
  readonly outboundPolicy?: string;
  readonly meshConfig?: string;
  readonly replay?: string;
  readonly saveReplay?: string;
  readonly failOn: string;
  readonly output: 'text' | 'json' | 'markdown';
  readonly state: string;
}

/** What a change would do before it is made: against the mesh that runs, or between two states of files with no mesh at all. */
export async function plan(options: PlanOptions): Promise<void> {
  const failOn = RISKS.find((risk) => risk === options.failOn.toLowerCase() && risk !== 'none');
  if (failOn === undefined) throw usage(`--fail-on ${options.failOn}: no risk`, 'one of low, medium, high');
  const files = options.filename ?? [];
  if (files.length === 0) throw usage('what is planned is not said', '`rig plan -f DIR`, also with `--from DIR` or `--from-rev REV`');
  const namespace = parseName(options.namespace, '--namespace');
  const offline = options.from !== undefined || options.fromRev !== undefined;
  if (options.from !== undefined && options.fromRev !== undefined) throw usage('--from and --from-rev each say what was before', 'leave one out');
  if (options.toRev !== undefined && options.fromRev === undefined)
    throw usage('--to-rev needs --from-rev', 'say both revisions, or leave the folder as it is');
  if (offline && options.prune === true) throw usage('--prune is about a mesh that runs', 'leave it out: two states of files are compared as wholes');
  const ofFiles = options.meshConfig === undefined ? (options.outboundPolicy === undefined ? undefined : '--outbound-policy') : '--mesh-config';
  if (ofFiles !== undefined && !offline) throw usage(`${ofFiles} is for files alone: a mesh that runs has its own`, 'leave it out, or say `--from DIR` too');
  if (options.saveReplay !== undefined && (options.replay === undefined || ageMsOf(options.replay) === undefined || offline))
    throw usage('--save-replay writes what a mesh that runs has seen', '`rig plan -f DIR --replay 1h --save-replay FILE`');
  if (offline && options.replay !== undefined && ageMsOf(options.replay) !== undefined)
    throw usage('--replay of a time asks a mesh that runs', 'give a file that `rig plan --replay 1h --save-replay FILE` wrote');
  const after = options.toRev === undefined ? readConfigFiles(files) : readRevision(options.toRev, files);
  const made = offline ? await offlinePlan(options, files, after, namespace) : await meshPlan(options, after, namespace);
  if (options.output === 'json') printJson(made);
  else console.log(options.output === 'markdown' ? planMarkdown(made) : planText(made));
  process.exitCode = isAtLeast(made.risk, failOn) ? ExitCode.failed : ExitCode.ok;
}

async function offlinePlan(options: PlanOptions, files: readonly string[], after: readonly ConfigFile[], defaultNamespace: string): Promise<Plan> {
  const before = options.from === undefined ? readRevision(options.fromRev!, files) : readConfigFiles(options.from);
  const types = await loadTypeRegistry();
  const input = inputOfFiles(await readResources(before, { defaultNamespace }), await valid(after, defaultNamespace), {
    settings: outboundPolicyOf(options.outboundPolicy),
    meshConfigFile: options.meshConfig,
    types,
  });
  return planOf(input, types, options.replay === undefined ? undefined : readTraffic(options.replay));
}

async function meshPlan(options: PlanOptions, after: readonly ConfigFile[], defaultNamespace: string): Promise<Plan> {
  const api = apiOf(options.state);
  const read = await valid(after, defaultNamespace);
  const view = await api.get<MeshView>('/mesh', 30_000);
  const nowMs = Date.now();
  const types = await loadTypeRegistry();
  const input = inputOfMesh(view, read, { prune: options.prune === true, nowMs, types });
  if (options.replay === undefined) return planOf(input, types);
  const ageMs = ageMsOf(options.replay);
  const traffic = ageMs === undefined ? readTraffic(options.replay) : await trafficOf(api, view, ageMs, nowMs);
  if (options.saveReplay !== undefined) writeFileSync(options.saveReplay, trafficText(traffic), { mode: 0o600 });
  return planOf(input, types, traffic);
}

/** What would be refused is not planned. */
export async function valid(files: readonly ConfigFile[], defaultNamespace: string): Promise<ReadResult> {
  const read = await readResources(files, { defaultNamespace });
  if (read.problems.some(({ level }) => level === 'Error')) throw refused([...messagesOf(read.problems)], 'text');
  return read;
}

function isAtLeast(risk: Risk, least: Risk): boolean {
  return RISKS.indexOf(risk) >= RISKS.indexOf(least);
}

function usage(what: string, next: string): CliError {
  return new CliError(what, { next, exitCode: ExitCode.usage });
}
