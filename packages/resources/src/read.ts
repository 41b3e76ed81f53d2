import type { KubernetesDocument } from './document.ts';
import type { SourceFile } from './parse.ts';
import type { Problem } from './problem.ts';
import type { Resource } from './resource.ts';
import type { ValidateOptions, Validator } from './validator.ts';

export interface ReadOptions extends ValidateOptions {
  /** Default: a new one, which costs the compilation of the schemas in use. */
  readonly validator?: Validator;
}

export interface ReadResult {
  /** Valid, defaulted, frozen, in the order of files and documents. */
  readonly resources: readonly Resource[];
  /** Any of level 'Error' means that something is to be refused; `refused` says what. */
  readonly problems: readonly Problem[];
  /** Kubernetes objects of other groups, as written, left out: {"Deployment": 4}. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Those objects themselves, for analysis. */
  readonly others: readonly KubernetesDocument[];
}

/** Files to resources: parse, validate, what Istio's admission webhook refuses, duplicates among them. */
export async function readResources(_files: readonly SourceFile[], _options: ReadOptions = {}): Promise<ReadResult> {
  throw new Error('being written');
}
