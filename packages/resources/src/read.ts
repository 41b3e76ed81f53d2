import { admissionErrors } from './admission/admission.ts';
import type { KubernetesDocument } from './document.ts';
import type { Json } from './json.ts';
import { maxProblemsPerDocument } from './limits.ts';
import { parseDocuments, type SourceFile } from './parse.ts';
import type { Problem } from './problem.ts';
import { kindOf } from './registry.ts';
import { groupOf, type Resource, type ResourceRef, refKey, refOf, refText } from './resource.ts';
import type { FieldError } from './schema/field-error.ts';
import { type Match, matchKind } from './unmatched.ts';
import { createValidator, type ValidateOptions, type Validator } from './validator.ts';

export interface ReadOptions extends ValidateOptions {
  /** Default: a new one, which costs the compilation of the schemas in use. */
  readonly validator?: Validator;
}

export interface ReadResult {
  /** Valid, defaulted, frozen, in the order of files and documents. */
  readonly resources: readonly Resource[];
  /** Any of level 'Error' means that what it names (a file, a resource) is to be refused. */
  readonly problems: readonly Problem[];
  /**
   * What was refused, as far as its fields have the right types: not to be used, but worth analysing, so that somebody who
   * mistyped one field hears of the rest too.
   */
  readonly refused: readonly Resource[];
  /** Kubernetes objects of other groups, left out: {"Deployment": 4}. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Those objects themselves, for analysis. */
  readonly others: readonly KubernetesDocument[];
  /** `status` of those in `resources`, which has no place in them, by `refKey`. */
  readonly statuses: ReadonlyMap<string, Json>;
}

/** Files to resources: parse, validate, what Istio's admission webhook refuses, duplicates among them. */
export async function readResources(files: readonly SourceFile[], options: ReadOptions = {}): Promise<ReadResult> {
  const validator = options.validator ?? createValidator();
  const parsed = parseDocuments(files);
  const problems: Problem[] = [...parsed.problems];
  const resources: Resource[] = [];
  const refused: Resource[] = [];
  const others: KubernetesDocument[] = [];
  const skipped = new Map<string, number>();
  const seen = new Map<string, Resource>();
  const statuses = new Map<string, Json>();
  const matches = new Map<string, Match>();
  for (const document of parsed.documents) {
    const kind = `${document.apiVersion} ${document.kind}`;
    const match = matches.get(kind) ?? matchKind(document.apiVersion, document.kind);
    matches.set(kind, match);
    if (!match.known) {
      if (match.misspelt) {
        problems.push(problemAt(document, options, { code: 'UNKNOWN_KIND', field: 'kind', message: match.message, next: match.next }));
      } else {
        others.push(document);
        skipped.set(document.kind, (skipped.get(document.kind) ?? 0) + 1);
      }
      continue;
    }
    const validated = await validator.validate(document, options);
    const errors = validated.ok ? admissionErrors(validated.resource) : validated.errors;
    if (!validated.ok || errors.length > 0) {
      problems.push(...fieldProblems(document, options, errors));
      if (validated.resource !== undefined) refused.push(validated.resource);
      continue;
    }
    const { resource } = validated;
    const key = refKey(refOf(resource));
    const earlier = seen.get(key);
    if (earlier !== undefined) {
      const where = `${earlier.origin?.file}:${earlier.origin?.line}`;
      problems.push(
        problemAt(document, options, {
          code: 'DUPLICATE',
          field: 'metadata.name',
          message: `${refText(refOf(resource))} is already at ${where}`,
          next: 'rename or remove one of the two',
        }),
      );
      continue;
    }
    seen.set(key, resource);
    if (document.value.status !== undefined) statuses.set(key, document.value.status);
    resources.push(resource);
  }
  return { resources, refused, problems, skipped: Object.fromEntries(skipped), others, statuses };
}

function fieldProblems(document: KubernetesDocument, options: ReadOptions, errors: readonly FieldError[]): Problem[] {
  const problems = errors
    .slice(0, maxProblemsPerDocument)
    .map((error) => problemAt(document, options, { code: 'INVALID', field: error.field, message: error.message, next: nextFor(error), ...meantBy(error) }));
  if (errors.length > maxProblemsPerDocument) {
    const rest = errors.length - maxProblemsPerDocument;
    problems.push(problemAt(document, options, { code: 'INVALID', field: '', message: `and ${rest} more errors`, next: 'correct these first' }));
  }
  return problems;
}

function meantBy({ type, suggestion }: FieldError): Pick<Problem, 'meant'> {
  if (suggestion === undefined) return {};
  return type === 'Unknown' ? { meant: { name: suggestion } } : type === 'NotSupported' ? { meant: { value: suggestion } } : {};
}

function nextFor(error: FieldError): string {
  const name = error.field === '' ? 'the object' : error.field;
  switch (error.type) {
    case 'Unknown':
      return error.suggestion === undefined ? `remove ${name}, or move it to where it belongs` : `write ${error.suggestion} in place of ${name}`;
    case 'TypeInvalid':
      return error.expected === 'string' && error.actual !== 'object' && error.actual !== 'array' && error.actual !== 'null'
        ? `put the value of ${name} in quotes: YAML reads it as ${error.actual}`
        : `write ${error.expected} as the value of ${name}`;
    case 'Required':
      return `add ${name}`;
    case 'NotSupported':
      return error.suggestion === undefined ? `use one of the supported values for ${name}` : `did you mean ${error.suggestion}?`;
    default:
      return `correct ${name}`;
  }
}

function problemAt(document: KubernetesDocument, options: ReadOptions, problem: Pick<Problem, 'code' | 'field' | 'message' | 'next' | 'meant'>): Problem {
  const clusterScoped = kindOf(document.apiVersion, document.kind)?.scope === 'Cluster';
  const namespace = clusterScoped ? '' : document.namespace || (options.defaultNamespace ?? 'default');
  const resource: ResourceRef = { group: groupOf(document.apiVersion), kind: document.kind, namespace, name: document.name };
  return {
    ...problem,
    level: 'Error',
    file: document.origin.file,
    line: problem.field === '' ? document.origin.line : document.lineOf(problem.field),
    resource,
  };
}
