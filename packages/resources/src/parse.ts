import type { KubernetesDocument } from './document.ts';
import type { Problem } from './problem.ts';

/** A file to read. `text` is its whole content; bytes are decoded as UTF-8. */
export interface SourceFile {
  /** As messages name it: a path, "-" or "<api>". */
  readonly file: string;
  readonly text: string | Uint8Array;
}

export interface ParseResult {
  readonly documents: readonly KubernetesDocument[];
  /** Level 'Error': the file it names has something that could not be read; its other documents are still in `documents`. */
  readonly problems: readonly Problem[];
}

/**
 * YAML (many documents, `List` kinds unfolded) or JSON to Kubernetes objects. Never throws for what a file holds;
 * time and memory are bounded by `limits.ts`.
 */
export function parseDocuments(_files: readonly SourceFile[]): ParseResult {
  throw new Error('being written');
}
