import type { Instance, KubernetesDocument, Problem, Resource, Service } from '@outrigger/resources';
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
  /** Kubernetes objects of other groups that came with the resources (`ReadResult.others`). */
  readonly others?: readonly KubernetesDocument[];
  /** Default "istio-system". */
  readonly rootNamespace?: string;
  /** Default "cluster.local". */
  readonly clusterDomain?: string;
}

/**
 * What is wrong among the resources, sorted by file and line. Those that validation refused (`ReadResult.refused`) may be
 * among them, so that one mistake does not hide the others.
 */
export function analyze(resources: readonly Resource[], mesh: Mesh, options: AnalyzeOptions = {}): readonly Message[] {
  const context = new Context(resources, mesh, options);
  for (const analyzer of analyzers) analyzer.run(context);
  return context.messages.sort(byPlace);
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
    }))
    .sort(byPlace);
}

function byPlace(left: Message, right: Message): number {
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || (left.code < right.code ? -1 : left.code > right.code ? 1 : 0);
}
