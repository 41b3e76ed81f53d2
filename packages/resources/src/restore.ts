import { deepFreeze, metadataOf } from './freeze.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { Origin, Resource } from './resource.ts';

/** A resource from its manifest as `manifestOf` gave it and a store kept it; not validated again. What cannot change is not copied: a control plane holds both. */
export function resourceFrom(manifest: JsonObject, origin?: Origin): Resource {
  const spec = manifest.spec ?? {};
  const metadata = isJsonObject(manifest.metadata) ? manifest.metadata : {};
  return deepFreeze({
    apiVersion: String(manifest.apiVersion),
    kind: String(manifest.kind),
    metadata: metadataOf(metadata, typeof metadata.namespace === 'string' ? metadata.namespace : ''),
    spec: Object.isFrozen(spec) ? spec : structuredClone(spec),
    ...(origin === undefined ? {} : { origin }),
  });
}

/** The whole object as JSON, to store or to show: apiVersion, kind, metadata, spec (defaults filled in). */
export function manifestOf(resource: Resource): JsonObject {
  const { metadata } = resource;
  const set = Object.entries(metadata).filter(([, value]) => value !== '' && value !== 0 && !(isJsonObject(value) && Object.keys(value).length === 0));
  return { apiVersion: resource.apiVersion, kind: resource.kind, metadata: Object.fromEntries(set) as JsonObject, spec: resource.spec as Json };
}
