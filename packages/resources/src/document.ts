import { field, type Json, type JsonObject, stringMap } from './json.ts';
import type { Origin } from './resource.ts';

/** One Kubernetes object as it was written: nothing defaulted, nothing checked but that it has an apiVersion and a kind. */
export interface KubernetesDocument {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' where the document has none. */
  readonly name: string;
  /** As written, '' where the document has none. */
  readonly namespace: string;
  readonly value: JsonObject;
  readonly origin: Origin;
  /** Line of a field by its path ("spec.http[0].route[1].weight"); the nearest parent's where the field has none. */
  lineOf(path: string): number;
}

/** Where a namespaced object is. */
export function namespaceOf(document: KubernetesDocument): string {
  return document.namespace === '' ? 'default' : document.namespace;
}

export function labelsOf(document: KubernetesDocument): Readonly<Record<string, string>> {
  return stringMap(document.value, 'metadata', 'labels');
}

export function annotationsOf(document: KubernetesDocument): Readonly<Record<string, string>> {
  return stringMap(document.value, 'metadata', 'annotations');
}

/** The pod that it is, or the template of those that a Deployment or its like makes; undefined: neither. */
export function podOf({ kind, value }: KubernetesDocument): Json | undefined {
  return kind === 'Pod' ? value : field(value, 'spec', 'template');
}
