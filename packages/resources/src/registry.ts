/** One kind of Istio or Gateway API. */
export interface Kind {
  readonly group: string;
  readonly kind: string;
  /** "virtualservices" */
  readonly plural: string;
  readonly scope: 'Namespaced' | 'Cluster';
  /** Served versions, newest first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  /** Whether this version of Outrigger acts on it. */
  readonly inEffect: boolean;
}

/** Every kind, by group and name. */
export const kinds: readonly Kind[] = [];

/** The kind of an apiVersion ("networking.istio.io/v1"), whether or not that version is served. */
export function kindOf(_apiVersion: string, _kind: string): Kind | undefined {
  return undefined;
}
