import type { ResourceView } from '@outrigger/control-plane/api';
import { groupOf } from '@outrigger/resources';

/** "KIND NAME" and "KIND/NAME" are the same. */
export function kindAndName(kind: string | undefined, name: string | undefined): { readonly kind: string | undefined; readonly name: string | undefined } {
  const slash = kind?.indexOf('/') ?? -1;
  return kind === undefined || name !== undefined || slash < 0 ? { kind, name } : { kind: kind.slice(0, slash), name: kind.slice(slash + 1) };
}

/** "Gateway.networking.istio.io" */
export function groupedKind({ group, kind }: { readonly group: string; readonly kind: string }): string {
  return `${kind}.${group}`;
}

/** A kind, with its group where `among` has another group's of the same name. */
export function kindText({ kind, apiVersion }: ResourceView, among: readonly ResourceView[]): string {
  const group = groupOf(apiVersion);
  return among.some((other) => other.kind === kind && groupOf(other.apiVersion) !== group) ? groupedKind({ group, kind }) : kind;
}
