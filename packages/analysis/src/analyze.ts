import type { Instance, KubernetesDocument, Problem, Resource, Service } from '@outrigger/resources';
import type { Message } from './message.ts';

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

/** What is wrong among valid resources, sorted by file and line. */
export function analyze(_resources: readonly Resource[], _mesh: Mesh, _options: AnalyzeOptions = {}): readonly Message[] {
  return [];
}

/** What reading refused (`ReadResult.problems`) as messages: IST0106 for schema and CEL failures. */
export function messagesOf(_problems: readonly Problem[]): readonly Message[] {
  return [];
}
