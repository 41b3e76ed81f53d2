import { type Kind, kindOf, kinds } from './registry.ts';
import { groupOf } from './resource.ts';
import { editDistance, nearest } from './suggest.ts';

/** Istio's installation kinds: of its groups' family, but not of the mesh's language. */
const installation: ReadonlySet<string> = new Set(['install.istio.io', 'operator.istio.io', 'samples.istio.io']);
const maxGroupEdits = 3;

export type Match =
  | { readonly known: true; readonly kind: Kind }
  /** Somebody else's kind: counted and left out. */
  | { readonly known: false; readonly misspelt: false }
  /** Meant for one of our groups, and none of its kinds or versions. */
  | { readonly known: false; readonly misspelt: true; readonly message: string; readonly next: string };

/** Whose kind a document is. */
export function matchKind(apiVersion: string, kind: string): Match {
  const exact = kindOf(apiVersion, kind);
  const group = groupOf(apiVersion);
  const version = apiVersion.slice(group.length + 1);
  if (exact?.versions.includes(version)) return { known: true, kind: exact };
  const noMatch = `no matches for kind "${kind}" in version "${apiVersion}"`;
  if (exact !== undefined) {
    return misspelt(`${noMatch}, served are ${exact.versions.join(', ')}`, `write apiVersion: ${group}/${exact.versions[0]}`);
  }
  const sameGroup = kinds.filter((known) => known.group === group);
  const sameKind = kinds.filter((known) => known.kind.toLowerCase() === kind.toLowerCase());
  if (sameGroup.length > 0) {
    const likely =
      nearest(
        kind,
        sameGroup.map((known) => known.kind),
      ) ??
      sameKind[0]?.kind ??
      nearest(
        kind,
        kinds.map((known) => known.kind),
      );
    const target = sameGroup.find((known) => known.kind === likely) ?? kinds.find((known) => known.kind === likely);
    if (target === undefined) return misspelt(noMatch, `the kinds of ${group} are ${sameGroup.map((known) => known.kind).join(', ')}`);
    return misspelt(`${noMatch}, did you mean ${target.kind}?`, `write apiVersion: ${target.group}/${target.versions[0]} and kind: ${target.kind}`);
  }
  const target = meantGroup(group, sameKind);
  if (target === undefined) return { known: false, misspelt: false };
  const likely =
    sameKind.find((known) => known.group === target) ?? kinds.find((known) => known.group === target && known.kind === nearest(kind, [known.kind]));
  const suggestion = `${target}/${likely?.versions[0] ?? kinds.find((known) => known.group === target)?.versions[0]}`;
  return misspelt(`${noMatch}, did you mean ${suggestion}?`, `write apiVersion: ${suggestion}${likely === undefined ? '' : ` and kind: ${likely.kind}`}`);
}

/** The group of ours that an unknown one was likely meant to be. */
function meantGroup(group: string, sameKind: readonly Kind[]): string | undefined {
  if (installation.has(group)) return undefined;
  const groups = [...new Set(kinds.map((kind) => kind.group))];
  const near = groups.map((known) => [editDistance(group, known), known] as const).sort(([a], [b]) => a - b)[0];
  if (near !== undefined && near[0] <= maxGroupEdits) return near[1];
  // Kubernetes' own groups and anything of "istio" have no kind of these names; other vendors may.
  if (sameKind.length > 0 && (group === '' || group.includes('istio') || /^(?:[a-z]+|[a-z.]*\.k8s\.io)$/.test(group))) return (sameKind[0] as Kind).group;
  return undefined;
}

function misspelt(message: string, next: string): Match {
  return { known: false, misspelt: true, message, next };
}
