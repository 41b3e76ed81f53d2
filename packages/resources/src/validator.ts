import type { KubernetesDocument } from './document.ts';
import type { Resource } from './resource.ts';
import type { FieldError } from './schema/field-error.ts';

export interface ValidateOptions {
  /** Namespace of namespaced resources that name none. Default "default". */
  readonly defaultNamespace?: string;
}

export type Validated = { readonly ok: true; readonly resource: Resource } | { readonly ok: false; readonly errors: readonly FieldError[] };

/** Validates as a Kubernetes API server does. Keeps compiled schemas and rules: make one and use it for everything. */
export interface Validator {
  /** The document's kind must be one of `kinds`, in a served version. */
  validate(document: KubernetesDocument, options?: ValidateOptions): Promise<Validated>;
}

export function createValidator(): Validator {
  throw new Error('being written');
}
