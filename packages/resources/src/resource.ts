/** Where a resource was written. `line` counts from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** Names one resource. `namespace` is '' for cluster-scoped kinds. */
export interface ResourceRef {
  /** "networking.istio.io": kinds of two groups may have one name, as Gateway has. */
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/**
 * One validated, defaulted, frozen resource of `networking.istio.io`, `security.istio.io`, `telemetry.istio.io`,
 * `extensions.istio.io`, `gateway.networking.k8s.io` or `outrigger.dev`. `spec` has the shape of the kind's CRD schema (storage
 * version): a field that the schema defaults is present.
 */
export interface Resource<Spec = unknown> {
  /** "networking.istio.io/v1": the version it was written in. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: Spec;
  /** Absent for resources that came without a file (API, Kubernetes). */
  readonly origin?: Origin;
  /** Line of a field, by its path ("spec.http[0].route[1].weight"); the nearest parent's where the field has none. */
  lineOf?(path: string): number;
}

export interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339; '' where unknown. Older resources win where two conflict. */
  readonly creationTimestamp: string;
  /** Grows with each write of the store, as in Kubernetes; '' outside a store. */
  readonly resourceVersion: string;
  readonly uid: string;
  readonly generation: number;
}

export function refOf(resource: Resource): ResourceRef {
  const { metadata } = resource;
  return { group: groupOf(resource.apiVersion), kind: resource.kind, namespace: metadata.namespace, name: metadata.name };
}

/** API group of an apiVersion; '' is Kubernetes' core. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

/** One text for each resource, by which it is found: "networking.istio.io/VirtualService default/order-service". */
export function refKey(ref: ResourceRef): string {
  return `${ref.group}/${refText(ref)}`;
}

/** As people name it: "VirtualService default/order-service". Two resources may have the same; `refKey` tells them apart. */
export function refText(ref: ResourceRef): string {
  return ref.namespace === '' ? `${ref.kind} ${ref.name}` : `${ref.kind} ${ref.namespace}/${ref.name}`;
}
