import { kindInEffect } from './kinds/known.ts';
import { groupOf } from './resource.ts';
import { ownKinds } from './schema/own.ts';
import type { Schema } from './schema/structural.ts';
import { type VendoredKind, vendoredKinds } from './schema/vendored.ts';

/** One kind of Istio, of Gateway API or of ours. */
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

const allKinds: readonly VendoredKind[] = [...vendoredKinds, ...ownKinds];
const byName: ReadonlyMap<string, VendoredKind> = new Map(allKinds.map((kind) => [`${kind.group}/${kind.kind}`, kind]));

/** Every kind, by group and name. */
export const kinds: readonly Kind[] = allKinds.map(({ load: _load, ...kind }) => ({
  ...kind,
  inEffect: kindInEffect(kind.group, kind.kind) !== undefined,
}));

const kindByName: ReadonlyMap<string, Kind> = new Map(kinds.map((kind) => [`${kind.group}/${kind.kind}`, kind]));

/** The kind of an apiVersion ("networking.istio.io/v1"), whether or not that version is served. */
export function kindOf(apiVersion: string, kind: string): Kind | undefined {
  return kindByName.get(`${groupOf(apiVersion)}/${kind}`);
}

/** The schema of one served version; undefined where it is not served. */
export async function loadSchema(kind: Kind, version: string): Promise<{ schema: Schema; statusSubresource: boolean } | undefined> {
  const vendored = byName.get(`${kind.group}/${kind.kind}`);
  if (vendored === undefined || !kind.versions.includes(version)) return undefined;
  const { versions, schemas } = await vendored.load();
  const entry = versions[version];
  const schema = entry === undefined ? undefined : schemas[entry.schema];
  return entry === undefined || schema === undefined ? undefined : { schema, statusSubresource: entry.statusSubresource };
}
