import { RuleValidator } from './cel/rules.ts';
import type { KubernetesDocument } from './document.ts';
import { frozenResource } from './freeze.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { maxResourceBytes } from './limits.ts';
import { kindOf, loadSchema } from './registry.ts';
import type { Resource } from './resource.ts';
import { withDefaults } from './schema/defaults.ts';
import { type FieldError, invalid } from './schema/field-error.ts';
import { duplicateItems } from './schema/list-types.ts';
import { validateMetadata } from './schema/metadata.ts';
import { Patterns } from './schema/patterns.ts';
import { unknownFields } from './schema/unknown.ts';
import { ValueValidator } from './schema/values.ts';

export interface ValidateOptions {
  /** Namespace of namespaced resources that name none. Default "default". */
  readonly defaultNamespace?: string;
}

export type Validated =
  | { readonly ok: true; readonly resource: Resource }
  /** `resource` is there if its fields have the right types, nulls where none may stand left out. */
  | { readonly ok: false; readonly errors: readonly FieldError[]; readonly resource?: Resource };

/** Validates as a Kubernetes API server does. Keeps compiled schemas and rules: make one and use it for everything. */
export interface Validator {
  /** The document's kind must be one of `kinds`, in a served version; any other is refused. */
  validate(document: KubernetesDocument, options?: ValidateOptions): Promise<Validated>;
}

/** Errors after which Kubernetes leaves the CEL rules out: they would look at values that are not as they expect. */
const blocking: ReadonlySet<string> = new Set(['Required', 'NotSupported', 'TooLong', 'TooMany', 'TypeInvalid']);

export function createValidator(): Validator {
  const values = new ValueValidator(new Patterns());
  const rules = new RuleValidator();
  return {
    async validate(document, { defaultNamespace = 'default' } = {}) {
      const kind = kindOf(document.apiVersion, document.kind);
      const loaded = kind === undefined ? undefined : await loadSchema(kind, document.apiVersion.split('/')[1] as string);
      if (kind === undefined || loaded === undefined) {
        return {
          ok: false,
          errors: [invalid('apiVersion', document.apiVersion, `no matches for kind "${document.kind}" in version "${document.apiVersion}"`)],
        };
      }
      const errors: FieldError[] = [];
      const size = JSON.stringify(document.value).length;
      if (size > maxResourceBytes) {
        errors.push({ type: 'TooLong', field: '', message: `the object has ${size} bytes, more than the ${maxResourceBytes} that one may have` });
        return { ok: false, errors };
      }
      const { schema, statusSubresource } = loaded;
      validateMetadata(document.value.metadata, kind.scope, errors);
      const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body } = document.value;
      unknownFields(body, schema, '', errors);
      const spoken = withDefaults(statusSubresource ? withoutStatus(body) : body, schema) as JsonObject;
      values.validate(spoken, schema, '', errors);
      duplicateItems(spoken, schema, '', errors);
      if (!errors.some((error) => blocking.has(error.type))) rules.validate(spoken, schema, errors);
      const namespace = kind.scope === 'Cluster' ? '' : document.namespace || defaultNamespace;
      if (errors.length === 0) return { ok: true, resource: frozenResource(document, spoken, namespace) };
      if (errors.some((error) => error.type === 'TypeInvalid' && error.actual !== 'null')) return { ok: false, errors };
      return { ok: false, errors, resource: frozenResource(document, withoutNulls(spoken) as JsonObject, namespace) };
    },
  };
}

/** A client's status is dropped on create where the CRD has a status of its own. */
function withoutStatus(value: JsonObject): JsonObject {
  const { status: _status, ...rest } = value;
  return rest as Record<string, Json>;
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).filter((item) => item !== null).map(withoutNulls);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== null)
      .map(([key, item]) => [key, withoutNulls(item)]),
  );
}
