import {
  type Instance,
  type Json,
  type KubernetesDocument,
  type Problem,
  type Resource,
  refKey,
  type Service,
  type SettingsDocument,
} from '@outrigger/resources';
import type { Analyzer } from './analyzer.ts';
import { Context } from './context.ts';
import type { Message } from './message.ts';
import { analyzers } from './registry.ts';
import { messageText } from './templates.ts';

/** What exists beside the resources: registered services and instances. */
export interface Mesh {
  readonly services: readonly Service[];
  readonly instances: readonly Instance[];
}

export interface AnalyzeOptions {
  /**
   * Kubernetes objects of other groups that came with the resources (`ReadResult.others`). Given, even if empty, the resources are taken
   * for what somebody keeps in files, and are judged by these objects too; left out, they are those of a mesh that runs.
   */
  readonly others?: readonly KubernetesDocument[];
  /** Default "istio-system". */
  readonly rootNamespace?: string;
  /** Default "cluster.local". */
  readonly clusterDomain?: string;
  readonly meshConfig?: SettingsDocument;
  readonly meshNetworks?: SettingsDocument;
  /** `status` of resources by `refKey` (`ReadResult.statuses`). */
  readonly statuses?: ReadonlyMap<string, Json>;
  /** To tell which certificates have expired. Default: none is told. */
  readonly nowMs?: number;
  /** Those too that are left out for their noise. Default false. */
  readonly allCodes?: boolean;
  /** Only the analyzer of this name ("virtualservice.GatewayAnalyzer"), whether or not it is left out else. Default: all. */
  readonly analyzer?: string;
}

/**
 * What is wrong among the resources, sorted by file and line. Those that validation refused (`ReadResult.refused`) may be
 * among them, so that one mistake does not hide the others.
 */
export function analyze(resources: readonly Resource[], mesh: Mesh, options: AnalyzeOptions = {}): readonly Message[] {
  const steps = analyzing(resources, mesh, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in steps, for who has something else to do meanwhile. */
export function* analyzing(resources: readonly Resource[], mesh: Mesh, options: AnalyzeOptions = {}): Generator<void, readonly Message[]> {
  const context = new Context(resources, mesh, options);
  for (const analyzer of analyzers) {
    if (!isWanted(analyzer, options)) continue;
    yield;
    run(analyzer, context);
  }
  return context.messages.sort(byPlace);
}

function run(analyzer: Analyzer, context: Context): void {
  const start = context.messages.length;
  analyzer.run(context);
  if (analyzer.once !== true) return;
  const first = new Map<string, Message>();
  for (const message of context.messages.splice(start).sort(byPlace)) {
    const key = `${message.code} ${refKey(message.resource)} ${message.message}`;
    if (!first.has(key)) first.set(key, message);
  }
  context.messages.push(...first.values());
}

function isWanted(analyzer: Analyzer, options: AnalyzeOptions): boolean {
  if (options.analyzer !== undefined) return analyzer.name === options.analyzer;
  if (analyzer.ofFiles === true && options.others === undefined) return false;
  return analyzer.noisy !== true || options.allCodes === true;
}

/** What reading refused (`ReadResult.problems`) as messages: IST0106, with the words of the API server. */
export function messagesOf(problems: readonly Problem[]): readonly Message[] {
  return problems
    .map((problem) => ({
      code: 'IST0106',
      level: problem.level,
      message: messageText('IST0106', [problem.message]).text,
      resource: problem.resource ?? { group: '', kind: '', namespace: '', name: '' },
      file: problem.file,
      line: problem.line,
      ...(problem.meant === undefined
        ? {}
        : { fix: 'name' in problem.meant ? { path: problem.field, rename: problem.meant.name } : { path: problem.field, value: problem.meant.value } }),
    }))
    .sort(byPlace);
}

/** Never a tie but between equal messages, so that the order does not depend on that of the input. */
export function byPlace(left: Message, right: Message): number {
  return (
    compare(left.file, right.file) ||
    left.line - right.line ||
    compare(left.code, right.code) ||
    compare(refKey(left.resource), refKey(right.resource)) ||
    compare(left.message, right.message)
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
