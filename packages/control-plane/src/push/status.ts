import { type EffectContext, statusNotes, withoutEffect } from '@outrigger/analysis';
import type { SrvState } from '@outrigger/discovery';
import { kindOf, type Resource, refKey, refOf, servicesOf } from '@outrigger/resources';
import { type ApiStatus, apiStatuses, conditionNotes, keys, type Mesh, type Note, type Programmed, refusalKey } from '@outrigger/translate';
import type { ResourceStatus } from '../api/shapes.ts';
import { srvNote, whyWithoutEndpoints } from '../registry/srv-records.ts';
import type { ClientView } from './client-view.ts';
import { outstandingKey } from './client-view.ts';
import type { Quarantined } from './mesh-state.ts';
import type { PushSource } from './push-source.ts';

/** How far one resource has come, over all proxies. */
interface Reach {
  readonly affected: Set<string>;
  readonly laggards: Set<string>;
  readonly refused: Map<string, string>;
  readonly notes: Set<string>;
}

export interface StatusInput {
  readonly push: PushSource;
  readonly quarantined: ReadonlyMap<string, Quarantined>;
  readonly effect: EffectContext;
  readonly mesh: Mesh;
  /** Names of SRV records that a ServiceEntry has, by its `refKey`. */
  readonly srvStates: (owner: string) => readonly SrvState[];
}

/** With what a resource of Gateway API has in its own `status`. */
export interface FullStatus {
  readonly status: ResourceStatus;
  readonly api: ApiStatus | undefined;
}

/** The status of each of the resources; one walk over everything that the proxies have. */
export function statusesOf(resources: readonly Resource[], input: StatusInput): FullStatus[] {
  const reaches = new Map<string, Reach>();
  const reachOf = (name: string): Reach => {
    let reach = reaches.get(name);
    if (reach === undefined) {
      reach = { affected: new Set(), laggards: new Set(), refused: new Map(), notes: new Set() };
      reaches.set(name, reach);
    }
    return reach;
  };
  const declared = declaredServices(resources);
  for (const entry of input.push.cache.entries()) {
    const names = new Set(entry.sources.map(refKey));
    for (const key of entry.keys) for (const name of declared.get(key) ?? []) names.add(name);
    for (const name of names) {
      const reach = reachOf(name);
      for (const view of entry.clients) count(reach, view, entry.typeUrl, entry.name);
    }
    for (const note of entry.notes) {
      if ([...entry.clients].some((view) => note.on === 'all' || note.on === view.node.dataPlane)) reachOf(refKey(note.resource)).notes.add(noteText(note));
    }
  }
  const apiStatus = apiStatuses(input.mesh);
  return resources.map((resource) => {
    const status = statusOf(resource, reaches.get(refKey(refOf(resource))), input);
    const api = apiStatus(resource, programmed(status));
    return { status: api === undefined ? status : { ...status, notes: [...new Set([...status.notes, ...conditionNotes(api)])] }, api };
  });
}

/** Whether gateways have it in force. */
function programmed({ state, summary, affected }: ResourceStatus): Programmed {
  if (state === 'in-effect' && affected > 0) return { reason: 'Programmed', message: summary };
  return {
    reason: state === 'partly' || state === 'quarantined' ? 'Invalid' : 'Pending',
    message: affected === 0 ? 'no gateway that is connected serves it' : summary,
  };
}

function count(reach: Reach, view: ClientView, typeUrl: Parameters<typeof outstandingKey>[0], name: string): void {
  const node = view.node.id;
  const key = outstandingKey(typeUrl, name);
  reach.affected.add(node);
  const refused = view.refused.get(key);
  if (refused !== undefined) reach.refused.set(node, refused.message);
  else if (view.outstanding.has(key)) reach.laggards.add(node);
}

/** Keys by which proxies use what a ServiceEntry declares: translation knows its services, not itself. */
function declaredServices(resources: readonly Resource[]): Map<string, string[]> {
  const declared = new Map<string, string[]>();
  for (const resource of resources) {
    if (resource.kind !== 'ServiceEntry') continue;
    for (const { hostname } of servicesOf([resource])) {
      for (const key of [keys.service(hostname), keys.instances(hostname)]) declared.set(key, [...(declared.get(key) ?? []), refKey(refOf(resource))]);
    }
  }
  return declared;
}

function noteText(note: Note): string {
  const where = note.on === 'all' ? '' : ` (on ${note.on})`;
  return `${note.field}${where}: ${note.message}`;
}

function statusOf(resource: Resource, reach: Reach | undefined, input: StatusInput): ResourceStatus {
  const affected = reach?.affected.size ?? 0;
  const laggards = [...(reach?.laggards ?? [])].filter((node) => !reach?.refused.has(node)).sort();
  const refused = [...(reach?.refused ?? [])].map(([node, message]) => ({ node, message }));
  const acknowledged = affected - laggards.length - refused.length;
  const names = resource.kind === 'ServiceEntry' ? input.srvStates(refKey(refOf(resource))) : [];
  const faults = names.filter(({ fault }) => fault !== '').map(srvNote);
  const notes = [...new Set([...statusNotes(resource), ...(reach?.notes ?? []), ...faults])];
  const status = (state: ResourceStatus['state'], summary: string): ResourceStatus => ({ state, summary, acknowledged, affected, laggards, refused, notes });

  const quarantined = input.quarantined.get(refKey(refOf(resource)));
  if (quarantined !== undefined) {
    const instead = { 'last-good': 'its last good version stays in force', nothing: 'nothing of it is in force', held: 'proxies keep what they had before it' };
    return status('quarantined', `quarantined: it could not be translated (${quarantined.reason}); ${instead[quarantined.inForce]}`);
  }
  if (kindOf(resource.apiVersion, resource.kind)?.inEffect !== true)
    return status('without-effect', `without effect because ${withoutEffect(resource, input.effect)}`);
  const kept = (['outrigger', 'envoy'] as const).flatMap((dataPlane) => {
    const refusal = input.mesh.refusals.get(refusalKey(refOf(resource), dataPlane));
    return refusal === undefined ? [] : [`${dataPlane} (a proxy refused what it makes: ${refusal})`];
  });
  if (kept.length > 0)
    return status(
      affected > 0 ? 'partly' : 'quarantined',
      `quarantined: kept from proxies of the kind ${kept.join(' and ')}; what it would change stays as it was`,
    );
  if (refused.length > 0) {
    const first = refused[0]!;
    return status('partly', `in effect on ${acknowledged} of ${affected} proxies; refused by ${first.node}: ${first.message}`);
  }
  const why = withoutEffect(resource, input.effect) ?? whyWithoutEndpoints(names);
  if (why !== undefined) return status('without-effect', `without effect because ${why}`);
  if (laggards.length > 0) return status('pending', `in effect on ${acknowledged} of ${affected} proxies; waiting for ${laggards.slice(0, 3).join(', ')}`);
  if (affected === 0) return status('accepted', 'accepted; no connected proxy has needed it so far (a sidecar asks with its first call)');
  return status('in-effect', `in effect on ${acknowledged} of ${affected} prox${affected === 1 ? 'y' : 'ies'}`);
}
