import type { ResourceRef } from './resource.ts';

export type ProblemCode =
  /** The file itself: too large, binary, not text. */
  | 'FILE_UNREADABLE'
  /** Malformed YAML or JSON, or one of the limits of `limits.ts`. */
  | 'SYNTAX'
  /** A document that is no Kubernetes object, or of a kind or version that does not exist. */
  | 'UNKNOWN_KIND'
  /** What the CRD's schema, its CEL rules or the API server's metadata rules refuse. */
  | 'INVALID'
  /** The same kind, namespace and name twice in what was read together. */
  | 'DUPLICATE'
  /** Something worth a word that refuses nothing. */
  | 'NOTE';

/** One thing wrong with what somebody wrote. An 'Error' refuses the document, a 'Warning' does not. */
export interface Problem {
  readonly code: ProblemCode;
  readonly level: 'Error' | 'Warning';
  /** What happened, in the API server's words where it has some. */
  readonly message: string;
  readonly file: string;
  /** Counts from 1. */
  readonly line: number;
  /** What to do about it. */
  readonly next: string;
  /** Path of the field ("spec.http[0].route[0].weight"), '' where the whole document or file is meant. */
  readonly field: string;
  /** Absent where the document did not say what it is. */
  readonly resource?: ResourceRef;
  /** What was likely meant by the field's name, or by its value. */
  readonly meant?: { readonly name: string } | { readonly value: string };
}

/** "mesh.yaml:12: VirtualService default/shop: spec.http: Required value" */
export function problemText(problem: Problem): string {
  const ref = problem.resource;
  const name = ref === undefined ? '' : `${ref.kind} ${ref.namespace === '' ? '' : `${ref.namespace}/`}${ref.name}: `;
  return `${problem.file}:${problem.line}: ${name}${problem.message}`;
}
