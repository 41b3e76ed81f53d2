import type { KubernetesDocument } from './document.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { Metadata, Resource } from './resource.ts';

/** Freezes JSON all the way down and gives it back. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

/** The resource of a valid document. `body` is its object with defaults; `namespace` the one it is in. */
export function frozenResource(document: KubernetesDocument, body: JsonObject, namespace: string): Resource {
  return deepFreeze({
    apiVersion: document.apiVersion,
    kind: document.kind,
    metadata: metadataOf(document.value.metadata, namespace),
    spec: body.spec ?? {},
    origin: document.origin,
    lineOf: (path: string) => document.lineOf(path),
  });
}

/** ObjectMeta as we keep it, from what passed validation. */
export function metadataOf(metadata: Json | undefined, namespace: string): Metadata {
  const source = isJsonObject(metadata) ? metadata : {};
  const text = (key: string): string => (typeof source[key] === 'string' ? source[key] : '');
  const map = (key: string): Readonly<Record<string, string>> => (isJsonObject(source[key]) ? { ...(source[key] as Record<string, string>) } : {});
  return {
    name: text('name'),
    namespace,
    labels: map('labels'),
    annotations: map('annotations'),
    creationTimestamp: text('creationTimestamp'),
    resourceVersion: text('resourceVersion'),
    uid: text('uid'),
    generation: typeof source.generation === 'number' ? source.generation : 0,
  };
}
