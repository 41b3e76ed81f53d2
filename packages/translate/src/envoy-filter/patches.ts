import { clone, type DescMessage, fromJson, type JsonValue, type Message, type MessageShape, type Registry } from '@bufbuild/protobuf';
import { type EnvoyFilterMatch, matchesLabels, refOf } from '@outrigger/resources';
import { targetsNode } from '../gateways/api/targets.ts';
import { byAge, type EnvoyFilter } from '../mesh.ts';
import type { ProxyNode } from '../node.ts';
import type { Reader } from '../reader.ts';
import type { Place } from '../translated.ts';
import { applied } from './applied.ts';
import { MAX_PATCHED_BYTES, spend, TooMuchPatchedError } from './bounds.ts';
import { PatchError } from './merge.ts';
import { unknownType, withTypedStructs } from './typed-structs.ts';

export type PatchContext = 'GATEWAY' | 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND';

const APPLIED = [
  'LISTENER',
  'LISTENER_FILTER',
  'FILTER_CHAIN',
  'NETWORK_FILTER',
  'HTTP_FILTER',
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
  'CLUSTER',
] as const;
export type ApplyTo = (typeof APPLIED)[number];

const OPERATIONS = ['MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE'] as const;
export type Operation = (typeof OPERATIONS)[number];

const NOT_APPLIED: Readonly<Record<string, string>> = {
  BOOTSTRAP: 'a bootstrap is made before the proxy knows the control plane',
  EXTENSION_CONFIG: 'filters have their configuration in their listener: patch HTTP_FILTER',
};

/** One entry of configPatches that may hold for the node. */
export interface Patch {
  readonly filter: EnvoyFilter;
  /** "spec.configPatches[0]" */
  readonly field: string;
  readonly place: Place;
  readonly applyTo: ApplyTo;
  readonly operation: Operation;
  readonly match: EnvoyFilterMatch;
  readonly filterClass: string;
  readonly value: JsonValue;
  /** Of the value. */
  readonly bytes: number;
  /** The value, once it was wanted, or why it is none. */
  decoded: Message | PatchError | undefined;
}

const FOR_NODE = Symbol('patches of EnvoyFilters');

/** What holds for the node, in the order in which it is applied: the root namespace's, then its own, each by priority and age. */
export function patchesOf(reader: Reader, applyTo: ApplyTo, context: PatchContext): readonly Patch[] {
  return patchesFor(reader).filter((patch) => patch.applyTo === applyTo && ['ANY', context].includes(patch.match.context ?? 'ANY'));
}

/** A resource as patches leave it: as it was made where there are none, or where they make too much of it. Half of a patch is worse than none. */
export function withPatches<Made>(reader: Reader, made: Made | undefined, patched: () => Made | undefined): Made | undefined {
  if (patchesFor(reader).length === 0) return made;
  try {
    return patched();
  } catch (error) {
    if (!(error instanceof TooMuchPatchedError)) throw error;
    const { filter, field } = error.patch;
    const bound = `${MAX_PATCHED_BYTES / 1024 / 1024} MiB`;
    reader.ignored(filter, `${field}.patch.value`, `patches would put more than ${bound} into one resource, which has none of them: match fewer routes`);
    return made;
  }
}

function patchesFor(reader: Reader): readonly Patch[] {
  return reader.once(FOR_NODE, () => filtersFor(reader).flatMap((filter) => patchesIn(reader, filter)));
}

function filtersFor(reader: Reader): readonly EnvoyFilter[] {
  const { node, settings } = reader;
  if (node.dataPlane === 'grpc') return [];
  return [...new Set([settings.rootNamespace, node.namespace])].flatMap((namespace) =>
    reader
      .envoyFilters(namespace)
      .filter((filter) => isFor(reader, filter) && !isAside(reader, filter))
      .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0) || byAge(a, b)),
  );
}

function isFor(reader: Reader, filter: EnvoyFilter): boolean {
  const { targetRefs = [], workloadSelector } = filter.spec;
  if (targetRefs.length === 0) return matchesLabels(workloadSelector?.labels, workloadSelector?.labels === undefined ? {} : reader.node.labels);
  return targetsNode(reader, filter.metadata.namespace, targetRefs);
}

/** A proxy of the node's kind has refused what it makes. */
function isAside(reader: Reader, filter: EnvoyFilter): boolean {
  const { dataPlane } = reader.node;
  const refusal = reader.refusalOf(filter, dataPlane);
  if (refusal === undefined) return false;
  reader.ignored(filter, 'spec.configPatches', `left out: a proxy refused what it makes (${refusal})`, dataPlane);
  return true;
}

function patchesIn(reader: Reader, filter: EnvoyFilter): readonly Patch[] {
  return (filter.spec.configPatches ?? []).flatMap((entry, index): Patch[] => {
    const field = `spec.configPatches[${index}]`;
    const place = { resource: refOf(filter), field };
    const { applyTo = '', match = {} } = entry;
    const operation = entry.patch?.operation ?? '';
    const ignored = (at: string, why: string): [] => {
      reader.ignored(filter, `${field}.${at}`, why);
      return [];
    };
    if (!isOneOf(APPLIED, applyTo)) return ignored('applyTo', NOT_APPLIED[applyTo] ?? `${applyTo || 'nothing'} is not patched here`);
    if (!isOneOf(OPERATIONS, operation)) return ignored('patch.operation', `${operation || 'no operation'} is not done here`);
    if (match.context === 'WAYPOINT' || match.waypoint !== undefined) return ignored('match', 'there are no waypoints here');
    if ((match.proxy?.proxyVersion ?? '') !== '') return ignored('match.proxy.proxyVersion', "proxies have no version of Istio's: the patch holds for none");
    if (!Object.entries(match.proxy?.metadata ?? {}).every(([key, value]) => metadataOf(reader.node, key) === value)) return [];
    const value = (entry.patch?.value ?? {}) as JsonValue;
    const bytes = JSON.stringify(value).length;
    return [{ filter, field, place, applyTo, operation, match, filterClass: entry.patch?.filterClass ?? '', value, bytes, decoded: undefined }];
  });
}

function metadataOf(node: ProxyNode, key: string): string | undefined {
  if (key === 'NAMESPACE') return node.namespace;
  if (key === 'SERVICE_ACCOUNT') return node.serviceAccount;
  if (key === 'WORKLOAD' || key === 'WORKLOAD_NAME') return node.workload;
  return key === 'DATA_PLANE' ? node.dataPlane : node.labels[key];
}

function isOneOf<Text extends string>(known: readonly Text[], text: string): text is Text {
  return (known as readonly string[]).includes(text);
}

/** The patch's value, made anew: what is patched keeps it. Throws a `PatchError`. */
export function decodedValue<Desc extends DescMessage>(patch: Patch, schema: Desc, types: Registry): MessageShape<Desc> {
  patch.decoded ??= decode(patch.value, schema, types);
  if (patch.decoded instanceof PatchError) throw patch.decoded;
  return clone(schema, patch.decoded as MessageShape<Desc>);
}

function decode(value: JsonValue, schema: DescMessage, types: Registry): Message | PatchError {
  try {
    return fromJson(schema, withTypedStructs(value, types), { registry: types });
  } catch (error) {
    return new PatchError(`the value is no ${schema.typeName}: ${(error as Error).message}`);
  }
}

/** Does one patch, or nothing of it and says why. Gives whether it was done. */
export function attempt(reader: Reader, patch: Patch, work: (types: Registry) => void): boolean {
  const { types } = reader;
  if (types === undefined) return false;
  const unknown = reader.node.dataPlane === 'outrigger' ? unknownType(patch.value, types) : undefined;
  if (unknown !== undefined) {
    reader.ignored(patch.filter, `${patch.field}.patch.value`, `this proxy has no ${unknown}`, 'outrigger');
    return false;
  }
  spend(reader, patch);
  try {
    work(types);
  } catch (error) {
    if (!(error instanceof PatchError)) throw error;
    reader.ignored(patch.filter, `${patch.field}.patch.value`, error.message);
    return false;
  }
  reader.uses(patch.filter);
  applied(reader).push(patch.place);
  return true;
}
