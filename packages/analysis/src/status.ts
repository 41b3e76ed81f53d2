import { groupOf, type Json, type KindInEffect, kindInEffect, kindOf, type Resource } from '@outrigger/resources';
import type { AnalyzeOptions, Mesh } from './analyze.ts';
import { Context } from './context.ts';
import { reasonWithoutEffect } from './effect.ts';
import { fieldsNotInEffect, kindsNotInEffect } from './not-in-effect.ts';

/** Which of its fields, or the whole kind, this version accepts but does not act on; a sentence each. Empty: all in effect. */
export function statusNotes(resource: Resource): readonly string[] {
  if (kindOf(resource.apiVersion, resource.kind)?.inEffect !== true)
    return [`${resource.kind} is accepted and kept, but not in effect in this version${whyOf(resource)}`];
  const notes: string[] = [];
  for (const [pattern, why] of Object.entries(policyLevels(kindInEffect(groupOf(resource.apiVersion), resource.kind)!))) {
    for (const path of placesOf(resource.spec as Json, pattern.split('.'), 'spec'))
      notes.push(`${path} is accepted, but not in effect in this version: ${why}`);
  }
  return notes;
}

/** All that resources' effect depends on, indexed once for all of them. */
export class EffectContext extends Context {}

/** `resources`: everything that is accepted; `mesh`: everything that is registered. */
export function effectContext(resources: readonly Resource[], mesh: Mesh, options: AnalyzeOptions = {}): EffectContext {
  return new EffectContext(resources, mesh, options);
}

/**
 * Why a resource, or a part of it, does nothing now ("subset v3 is not in DestinationRule default/order-service"); undefined where it is
 * in effect as far as the mesh can tell.
 */
export function withoutEffect(resource: Resource, context: EffectContext): string | undefined {
  if (kindOf(resource.apiVersion, resource.kind)?.inEffect !== true) return `${resource.kind} is not in effect in this version${whyOf(resource)}`;
  return reasonWithoutEffect(resource, context);
}

function whyOf({ apiVersion, kind }: Resource): string {
  const why = kindsNotInEffect[`${groupOf(apiVersion)}/${kind}`];
  return why === undefined ? '' : `: ${why}`;
}

/** The kind's fields, with a traffic policy's at each level where one may stand. */
function policyLevels(kind: KindInEffect): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const [pattern, why] of Object.entries(fieldsNotInEffect[kind])) {
    fields[pattern] = why;
    if (!pattern.startsWith('trafficPolicy.')) continue;
    fields[`subsets[].${pattern}`] = why;
    fields[pattern.replace('trafficPolicy.', 'trafficPolicy.portLevelSettings[].')] = why;
  }
  return fields;
}

/** Paths at which a pattern's field is set. */
function placesOf(value: Json | undefined, pattern: readonly string[], path: string): readonly string[] {
  const [head, ...rest] = pattern;
  if (head === undefined) return value === undefined || value === null ? [] : [path];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const many = head.endsWith('[]');
  const name = many ? head.slice(0, -2) : head;
  const item = (value as Readonly<Record<string, Json>>)[name];
  if (!many) return placesOf(item, rest, `${path}.${name}`);
  return Array.isArray(item) ? (item as readonly Json[]).flatMap((element, index) => placesOf(element, rest, `${path}.${name}[${index}]`)) : [];
}
