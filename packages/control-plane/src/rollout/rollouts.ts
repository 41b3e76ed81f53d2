import { ofKind, type Resource, type ResourceRef, type RolloutSpec, refKey, refOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import type { ResourceStatus, RolloutView } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import type { Records } from '../store/records.ts';
import type { Edge, Traffic, Unreached } from '../telemetry/windows.ts';
import { type Arms, admit, armsOf, hostOf, type Refusal, type RolloutWorld } from './admit.ts';
import { act, begin, isOver, observe, type Presence, planOf, type RolloutAction, type RolloutPlan, type RolloutState, splitOf } from './decide.ts';
import { Evidence } from './evidence.ts';
import { overlay } from './overlay.ts';
import { restored, type StoredRollout, stored } from './stored.ts';
import { refusedView, rolloutStatus, rolloutView } from './view.ts';

const NOBODY: Presence = { from: 0, to: 0, others: 0 };
/** So much of what was seen is lost at most where the process is killed. */
const SAVE_MS = 2_000;

export interface RolloutsOptions {
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  readonly records: Records<StoredRollout>;
  readonly resources: () => readonly Resource[];
  readonly world: () => RolloutWorld;
  readonly domainSuffix: string;
  /** Brings other routes and rules into the mesh: one push. */
  readonly change: (change: MeshChange) => void;
  /** Something is to be shown. */
  readonly onChange: () => void;
}

interface Running {
  readonly resource: Resource<RolloutSpec>;
  readonly plan: RolloutPlan;
  state: RolloutState;
  arms: Arms;
  evidence: Evidence;
  routes: readonly string[];
  conflict: string | undefined;
  /** Why what its resource says by now has not begun. */
  refusal: Refusal | undefined;
  savedAtMs: number;
}

/** The Rollouts among the resources: begun, watched and ended, and their splits laid over what people have written. */
export class Rollouts {
  readonly #options: RolloutsOptions;
  /** By namespace and name. */
  readonly #running = new Map<string, Running>();
  readonly #refused = new Map<string, { readonly resource: Resource<RolloutSpec>; readonly refusal: Refusal }>();
  /** What the mesh has in place of what is written, or beside it; by `refKey`. */
  #laid: ReadonlyMap<string, Resource> = new Map();

  constructor(options: RolloutsOptions) {
    this.#options = options;
  }

  /** The change that the mesh gets for one of the configuration. */
  adapt(change: { readonly put: readonly Resource[]; readonly remove: readonly ResourceRef[] }): MeshChange {
    this.#reconcile();
    const laid = this.#relay();
    const put = change.put.map((resource) => this.#laid.get(refKey(refOf(resource))) ?? resource);
    const known = new Set(change.put.map((resource) => refKey(refOf(resource))));
    const gone = new Set(change.remove.map(refKey));
    return {
      put: [...put, ...(laid.put ?? []).filter((resource) => !known.has(refKey(refOf(resource))))],
      remove: [...change.remove, ...(laid.remove ?? []).filter((ref) => !gone.has(refKey(ref)))],
    };
  }

  /** Services or instances have come or gone. */
  worldChanged(): void {
    if (this.#running.size === 0 && this.#refused.size === 0) return;
    this.#reconcile();
    this.#lay();
  }

  /** Whether its sidecars are asked for every bucket of their histograms. */
  watches(service: string, namespace: string): boolean {
    for (const { state, evidence } of this.#running.values()) if (!isOver(state) && evidence.isOf(service, namespace)) return true;
    return false;
  }

  seen(edge: Edge, traffic: Traffic, unreached: boolean): void {
    for (const { state, evidence } of this.#running.values()) if (!isOver(state)) evidence.add(edge, traffic, unreached);
  }

  seenUnreached(unreached: Unreached): void {
    for (const { state, evidence } of this.#running.values()) if (!isOver(state)) evidence.addUnreached(unreached);
  }

  /** Judges what has been seen since the last time. */
  tick(): void {
    const nowMs = this.#options.clock.now();
    let shown = false;
    for (const [key, running] of this.#running) {
      if (isOver(running.state)) continue;
      shown = true;
      const { arms } = running;
      const conflict = running.refusal === undefined ? running.conflict : `what it says by now cannot begin: ${running.refusal.reason}`;
      const next = observe(running.plan, running.state, { nowMs, present: arms.present, ...running.evidence.take(arms.asCalled), conflict });
      this.#moved(key, running, next, nowMs);
    }
    this.#lay();
    if (shown) this.#options.onChange();
  }

  views(): RolloutView[] {
    const views = [
      ...[...this.#running.values()].map((running) => this.#view(running)),
      ...[...this.#refused.values()].map(({ resource, refusal }) => refusedView(resource, refusal.reason)),
    ];
    return views.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  view(namespace: string, name: string): RolloutView | undefined {
    return this.views().find((view) => view.namespace === namespace && view.name === name);
  }

  statusOf(namespace: string, name: string): ResourceStatus | undefined {
    const view = this.view(namespace, name);
    return view === undefined ? undefined : rolloutStatus(view);
  }

  /** Why this one could not begin now, were it applied. */
  refusalOf(candidate: Resource<RolloutSpec>): Refusal | undefined {
    const running = this.#running.get(keyOf(candidate.metadata));
    if (running !== undefined && !isOver(running.state)) {
      const name = candidate.metadata.name;
      return { reason: `rollout ${name} is under way`, next: `Wait until it is over, or end it: rig rollout abort ${name}` };
    }
    const admitted = this.#admit(candidate);
    return 'reason' in admitted ? admitted : undefined;
  }

  /** The one that is over begins anew. */
  again(namespace: string, name: string): void {
    const key = keyOf({ namespace, name });
    if (!this.#running.delete(key)) return;
    this.#options.records.delete(key);
    this.#reconcile();
    this.#lay();
  }

  /** Undefined: there is no such rollout; a text: why it cannot be done. */
  act(namespace: string, name: string, action: RolloutAction): RolloutView | string | undefined {
    const key = keyOf({ namespace, name });
    const running = this.#running.get(key);
    if (running === undefined) return this.#refused.get(key) === undefined ? undefined : `it has not begun: ${this.#refused.get(key)!.refusal.reason}`;
    const nowMs = this.#options.clock.now();
    const next = act(running.plan, running.state, action, nowMs);
    if (typeof next === 'string') return next;
    this.#moved(key, running, next, nowMs);
    this.#lay();
    this.#options.onChange();
    return this.#view(running);
  }

  stop(): void {
    for (const [key, running] of this.#running) if (!isOver(running.state)) this.#save(key, running, this.#options.clock.now());
  }

  #view(running: Running): RolloutView {
    const { plan, state, arms, refusal } = running;
    return rolloutView({ ...running, service: arms.service.hostname, split: splitOf(plan, state, arms.present), refusal: refusal?.reason });
  }

  #moved(key: string, running: Running, next: RolloutState, nowMs: number): void {
    const { state: before, resource } = running;
    running.state = next;
    const turned = next.phase !== before.phase || next.step !== before.step;
    if (turned || nowMs - running.savedAtMs >= SAVE_MS) this.#save(key, running, nowMs);
    if (!turned) return;
    const level = next.phase === 'rolled-back' ? 'warn' : 'info';
    this.#options.log({ level, part: 'rollout', message: `rollout ${resource.metadata.name}: ${next.history.at(-1)?.text ?? next.phase}`, rollout: key });
  }

  #save(key: string, running: Running, nowMs: number): void {
    running.savedAtMs = nowMs;
    const { resource, plan, state } = running;
    try {
      this.#options.records.put(key, stored(resource, plan.from, state));
    } catch (error) {
      // It goes on: only one that starts again would go back to what was kept last.
      this.#options.log({ level: 'error', part: 'rollout', message: `rollout ${key} could not be kept: ${String(error)}`, rollout: key });
    }
  }

  /** What runs is what is written: those that are new begin, or say why not; those that are gone end. */
  #reconcile(): void {
    const { resources, records, clock } = this.#options;
    const present = new Set<string>();
    this.#refused.clear();
    for (const resource of ofKind(resources(), 'Rollout').toSorted(byAge)) {
      const key = keyOf(resource.metadata);
      present.add(key);
      const running = this.#known(key, resource);
      if (running !== undefined) this.#look(running);
      if (running?.resource.metadata.generation === resource.metadata.generation) {
        running.refusal = undefined;
        continue;
      }
      const admitted = this.#admit(resource);
      if (!('reason' in admitted)) {
        const started = this.#start(key, resource, admitted.from, begin(planOf(resource.spec, admitted.from), clock.now()));
        this.#save(key, started, clock.now());
      } else if (running === undefined) this.#refused.set(key, { resource, refusal: admitted });
      else running.refusal = admitted;
    }
    for (const key of [...this.#running.keys(), ...records.entries().keys()]) {
      if (present.has(key)) continue;
      this.#running.delete(key);
      records.delete(key);
    }
  }

  /** The one that runs, or ran before the control plane started; undefined: none of this resource. */
  #known(key: string, resource: Resource<RolloutSpec>): Running | undefined {
    const running = this.#running.get(key);
    if (running !== undefined) return running.resource.metadata.uid === resource.metadata.uid ? running : undefined;
    const kept = this.#options.records.get(key);
    if (kept?.uid !== resource.metadata.uid) return undefined;
    const begun = { ...resource, spec: kept.spec, metadata: { ...resource.metadata, generation: kept.generation } };
    return this.#start(key, begun, kept.from, restored(kept));
  }

  /** Its versions as they are now. */
  #look(running: Running): void {
    running.arms = this.#arms(running.resource, running.plan) ?? { ...running.arms, present: NOBODY };
    running.evidence.rename(running.arms.from, running.arms.to);
  }

  #start(key: string, resource: Resource<RolloutSpec>, from: string, state: RolloutState): Running {
    const plan = planOf(resource.spec, from);
    const hostname = hostOf(resource, this.#options.domainSuffix);
    const arms = this.#arms(resource, plan) ?? {
      service: { hostname, name: hostname.split('.')[0]!, namespace: hostname.split('.')[1] ?? resource.metadata.namespace },
      from: { subset: from, versions: new Set([from]) },
      to: { subset: plan.to, versions: new Set([plan.to]) },
      present: NOBODY,
      asCalled: true,
    };
    const evidence = new Evidence(arms.service, arms.from, arms.to);
    const running: Running = {
      resource,
      plan,
      state,
      arms,
      evidence,
      routes: [],
      conflict: undefined,
      refusal: undefined,
      savedAtMs: this.#options.clock.now(),
    };
    this.#running.set(key, running);
    return running;
  }

  #arms(resource: Resource<RolloutSpec>, plan: RolloutPlan): Arms | undefined {
    const { resources, world, domainSuffix } = this.#options;
    const seen = world();
    const hostname = hostOf(resource, domainSuffix);
    const service = seen.services.find((candidate) => candidate.hostname === hostname);
    return service === undefined ? undefined : armsOf(service, plan.from, plan.to, { resources: resources(), world: seen, domainSuffix });
  }

  #admit(resource: Resource<RolloutSpec>): ReturnType<typeof admit> {
    const { resources, world, domainSuffix } = this.#options;
    const hostname = hostOf(resource, domainSuffix);
    const same = [...this.#running.values()].filter((running) => hostOf(running.resource, domainSuffix) === hostname);
    const other = same.find((running) => !isOver(running.state) && keyOf(running.resource.metadata) !== keyOf(resource.metadata));
    const last = same.filter(({ state }) => isOver(state)).toSorted((a, b) => b.state.startedAtMs - a.state.startedAtMs)[0];
    const at = last === undefined ? undefined : last.state.phase === 'succeeded' ? last.plan.to : last.plan.from;
    return admit(resource, { resources: resources(), world: world(), domainSuffix, other: other?.resource.metadata.name, at });
  }

  #lay(): void {
    const change = this.#relay();
    if ((change.put?.length ?? 0) + (change.remove?.length ?? 0) > 0) this.#options.change(change);
  }

  /** Lays the splits anew, and gives what is different. */
  #relay(): MeshChange {
    const { resources, domainSuffix } = this.#options;
    const written = new Map(resources().map((resource) => [refKey(refOf(resource)), resource]));
    const before = this.#laid;
    const now = new Map<string, Resource>();
    for (const running of this.#inForce()) {
      const { plan, state, arms, resource } = running;
      const split = splitOf(plan, state, arms.present);
      if (split === undefined) {
        running.routes = [];
        running.conflict = undefined;
        continue;
      }
      // One route may lead to several services: each split is laid over the one before.
      const result = overlay({
        resources: [...new Map([...written, ...now]).values()],
        service: arms.service,
        from: plan.from,
        to: plan.to,
        split,
        sticky: isOver(state) ? undefined : resource.spec.sticky,
        domainSuffix,
      });
      running.routes = result.routes;
      running.conflict = result.conflict;
      for (const laid of result.put) now.set(refKey(refOf(laid)), laid);
    }
    this.#laid = now;
    const put = [...now].filter(([key, resource]) => !sameSpec(before.get(key), resource)).map(([, resource]) => resource);
    const lifted = [...before].filter(([key]) => !now.has(key));
    return {
      put: [...put, ...lifted.flatMap(([key]) => written.get(key) ?? [])],
      remove: lifted.filter(([key]) => !written.has(key)).map(([, resource]) => refOf(resource)),
    };
  }

  /** Of one service the one that is under way, else the last one. */
  #inForce(): Iterable<Running> {
    const byHost = new Map<string, Running>();
    for (const running of this.#running.values()) {
      const host = running.arms.service.hostname;
      const other = byHost.get(host);
      const rank = ({ state }: Running): number => (isOver(state) ? state.startedAtMs : Number.POSITIVE_INFINITY);
      if (other === undefined || rank(running) > rank(other)) byHost.set(host, running);
    }
    return byHost.values();
  }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

function byAge(a: Resource, b: Resource): number {
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : a.metadata.creationTimestamp > b.metadata.creationTimestamp ? 1 : 0;
}

function sameSpec(a: Resource | undefined, b: Resource): boolean {
  return a !== undefined && (a === b || (a.metadata.resourceVersion === b.metadata.resourceVersion && JSON.stringify(a.spec) === JSON.stringify(b.spec)));
}
