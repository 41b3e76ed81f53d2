import type { MeshView } from '@outrigger/control-plane/mesh-view';
import { loadTypeRegistry } from '@outrigger/xds';
import type { ApiClient } from '../api/client.ts';
import { CliError, ExitCode } from '../error.ts';
import type { ConfigFile } from '../files.ts';
import { planOf } from '../plan/plan.ts';
import { replayLines } from '../plan/print.ts';
import type { ReplayReport } from '../plan/replay.ts';
import { percentText } from '../plan/risk.ts';
import { inputOfMesh } from '../plan/sources.ts';
import { ageMsOf, trafficOf } from '../plan/traffic.ts';
import { valid } from './plan.ts';

/** Of the requests that were seen, where nothing else is said. */
export const DEFAULT_GATE_PERCENT = 1;
export const DEFAULT_GATE_WINDOW = '1h';

export interface GateAnswer {
  /** The revision that was judged: an apply must be of it. */
  readonly revision: string;
  readonly replay: ReplayReport;
}

/** Too many would fare otherwise. */
export class GateRefusal extends CliError {
  readonly replay: ReplayReport;

  constructor(what: string, next: string, replay: ReplayReport, exitCode: number = ExitCode.failed) {
    super(what, { next, exitCode });
    this.replay = replay;
  }
}

/** How many percent of the requests may change their fate; undefined: the gate is off. */
export function gatePercent(gate: boolean | string | undefined): number | undefined {
  if (gate === undefined || gate === false || gate === 'off') return undefined;
  if (gate === true) return DEFAULT_GATE_PERCENT;
  const percent = /^\d{1,3}(\.\d+)?$/.test(gate) ? Number(gate) : Number.NaN;
  if (percent >= 0 && percent <= 100) return percent;
  throw new CliError(`--replay-gate=${gate}: no share of requests`, {
    next: 'a number of percent (--replay-gate=0.5), nothing for 1, or off',
    exitCode: ExitCode.usage,
  });
}

export function gateWindowMs(text: string): number {
  const ms = ageMsOf(text);
  if (ms === undefined) throw new CliError(`--replay-window ${text}: no time`, { next: 'up to 24h, as in 90s, 15m or 1h', exitCode: ExitCode.usage });
  return ms;
}

export interface GateOptions {
  readonly namespace: string;
  readonly percent: number;
  /** "1h" */
  readonly window: string;
  /** What is done where no request was seen, and a proxy would be sent something. */
  readonly unseen: 'refuse' | 'apply';
  readonly print: (line: string) => unknown;
}

/** Runs what the mesh has really seen through its tables as they would be. Throws a `GateRefusal` where more than `percent` of it would fare otherwise. */
export async function passReplayGate(
  api: ApiClient,
  files: readonly ConfigFile[],
  { namespace, percent, window, unseen, print }: GateOptions,
): Promise<GateAnswer> {
  const windowMs = gateWindowMs(window);
  const read = await valid(files, namespace);
  const view = await api.get<MeshView>('/mesh', 30_000);
  const nowMs = Date.now();
  const types = await loadTypeRegistry();
  const plan = planOf(inputOfMesh(view, read, { prune: false, nowMs, types }), types, await trafficOf(api, view, windowMs, nowMs));
  const replay = plan.replay!;
  const answer = { revision: view.revision, replay };
  if (plan.proxies.length === 0 && replay.seen === 0) return answer;
  if (replay.seen === 0) {
    const nothing = `${plan.proxies.length} of ${plan.allProxies} proxies would be sent something, and no request was seen in the last ${window}`;
    if (unseen === 'apply') {
      print(`the replay gate has nothing to judge by: ${nothing}; applied, as --replay-unseen=apply says`);
      return answer;
    }
    throw new GateRefusal(
      `the replay gate has nothing to judge by: ${nothing}; nothing has been changed`,
      'apply again when there is traffic, or judge by a longer --replay-window; where no traffic is expected, as in a new mesh, --replay-unseen=apply',
      replay,
      ExitCode.undecided,
    );
  }
  if (replay.changedPercent <= percent) return answer;
  for (const line of replayLines(replay)) print(line);
  throw new GateRefusal(
    `refused by the replay gate: ${percentText(replay.changedPercent)} of the requests that were seen would fare otherwise, more than ${percent} %; nothing has been changed`,
    `mend what sends them elsewhere; or, where that is meant, --replay-gate=${Math.ceil(replay.changedPercent)} or --replay-gate=off`,
    replay,
  );
}
