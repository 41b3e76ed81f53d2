import type { JsonObject } from '@bufbuild/protobuf';

/** What the mesh itself reads of a route's metadata. */
export interface RouteMetadata {
  /** filter_metadata["istio"].config: the resource that made the route, or ''. */
  readonly configResource: string;
  /** All of filter_metadata, for the admin interface and %METADATA%. */
  readonly filterMetadata: Readonly<Record<string, JsonObject>>;
}
