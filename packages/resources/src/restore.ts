import type { JsonObject } from './json.ts';
import type { Resource } from './resource.ts';

/** A resource from its manifest as `manifestOf` gave it and a store kept it; not validated again. */
export function resourceFrom(_manifest: JsonObject): Resource {
  throw new Error('being written');
}

/** The whole object as JSON, to store or to show: apiVersion, kind, metadata, spec (defaults filled in). */
export function manifestOf(_resource: Resource): JsonObject {
  throw new Error('being written');
}
