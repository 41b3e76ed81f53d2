import { isKind, OUTRIGGER_API, type Resource, type ResourceRef, type RolloutSpec, refKey, refOf } from '@outrigger/resources';
import type { MeshChange } from '@outrigger/translate';
import type { Problem, ResourceStatus, RolloutView } from '../api/shapes.ts';
import type { Clock, LogEntry } from '../options.ts';
import type { Records } from '../store/records.ts';
import type { Edge, Traffic, Unreached } from '../telemetry/windows.ts';
import { type Arms, admit, armsOf, hostOf, type Refusal, type RolloutWorld } from './admit.ts';
import { act, BY_HAND, begin, isOver, observe, type Presence, planOf, type RolloutAction, type RolloutPlan, type RolloutState, splitOf } from './decide.ts';
import { Evidence } from './evidence.ts';
import { Laid, type SplitInForce } from './laid.ts';
import { restored, type StoredRollout, stored } from './stored.ts';
import { refusedView, rolloutStatus, rolloutView } from './view.ts';

/** Kinds on which it depends how a split is laid. */
const MATTERING: ReadonlySet<string> = new Set(['Rollout', 'VirtualService', 'DestinationRule', 'HTTPRoute', 'GRPCRoute']);
const NOBODY: Presence = { from: 0, to: 0, others: 0 };
/** So much of what was seen is lost at most where the process is killed. */
const SAVE_MS = 2_000;

export interface RolloutsOptions {
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  readonly records: Records<StoredRollout>;
  readonly resources: () => readonly Resource[];
  readonly world: RolloutWorld;
  readonly domainSuffix: string;
  /** Brings other routes and rules into the mesh: one push. */
  readonly change: (change: MeshChange) => void;
  /** Something is to be shown. */
  readonly onChange: () => void;
}

/** Of the configuration. */
export interface ConfigurationChange {
  readonly put: readonly Resource[];
  readonly remove: readonly ResourceRef[];
}

interface Running {
  readonly resource: Resource<RolloutSpec>;
  readonly plan: RolloutPlan;
  readonly sticky: RolloutSpec['sticky'];
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
  /** As they are written, by namespace and name. */
  readonly #written = new Map<string, Resource<RolloutSpec>>();
  readonly #laid: Laid;

  constructor(options: RolloutsOptions) {
    this.#options = options;
    this.#laid = new Laid(options.resources, options.domainSuffix);
  }

  /** The change that the mesh gets for one of the configuration. */
  adapt(change: ConfigurationChange): MeshChange {
    if (![...change.put, ...change.remove].some(({ kind }) => MATTERING.has(kind))) return change;
    for (const resource of change.put) if (isKind(resource, 'Rollout')) this.#written.set(keyOf(resource.metadata), resource);
    for (const ref of change.remove) if (ref.kind === 'Rollout' && ref.group === OUTRIGGER_API) this.#written.delete(keyOf(ref));
    this.#reconcile();
    const { put = [], remove = [] } = this.#layAnew(true) ?? {};
    const known = new Set(change.put.map((resource) => refKey(refOf(resource))));
    const gone = new Set(change.remove.map(refKey));
    return {
      put: [...change.put.map((resource) => this.#laid.inPlaceOf(resource)), ...put.filter((resource) => !known.has(refKey(refOf(resource))))],
      remove: [...change.remove, ...remove.filter((ref) => !gone.has(refKey(ref)))],
    };
  }

  /** What changes in the mesh, beside them, with services or instances that have come or gone: in one push, so that no route leads to nobody. */
  worldChanged(): MeshChange {
    if (this.#running.size === 0 && this.#refused.size === 0) return {};
    this.#reconcile();
    return this.#layAnew(false) ?? {};
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

  /** The splits that are laid over what people have written. */
  get inForce(): readonly SplitInForce[] {
    return this.#laid.inForce;
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

  /** Those that stand still until somebody does something. */
  get problems(): Problem[] {
    return [...this.#running.values()]
      .filter(({ state }) => state.phase === 'paused' && state.reason !== BY_HAND)
      .map(({ resource: { metadata }, state }) => ({
        what: `rollout ${metadata.name} is paused: ${state.reason}`,
        where: `Rollout ${keyOf(metadata)}`,
        next: `rig rollout status ${metadata.name} shows more; resume, promote or abort it`,
        sinceMs: state.history.at(-1)?.atMs ?? state.startedAtMs,
      }));
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
    const { records, clock } = this.#options;
    this.#refused.clear();
    for (const resource of [...this.#written.values()].sort(byAge)) {
      const key = keyOf(resource.metadata);
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
      if (this.#written.has(key)) continue;
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
      sticky: resource.spec.sticky,
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
    const service = world.service(hostOf(resource, domainSuffix));
    return service === undefined ? undefined : armsOf(service, plan.from, plan.to, { resources: resources(), world, domainSuffix });
  }

  #admit(resource: Resource<RolloutSpec>): ReturnType<typeof admit> {
    const { resources, world, domainSuffix } = this.#options;
    const hostname = hostOf(resource, domainSuffix);
    const same = [...this.#running.values()].filter((running) => hostOf(running.resource, domainSuffix) === hostname);
    const other = same.find((running) => !isOver(running.state) && keyOf(running.resource.metadata) !== keyOf(resource.metadata));
    const last = same.filter(({ state }) => isOver(state)).toSorted((a, b) => b.state.startedAtMs - a.state.startedAtMs)[0];
    const at = last === undefined ? undefined : last.state.phase === 'succeeded' ? last.plan.to : last.plan.from;
    return admit(resource, { resources: resources(), world, domainSuffix, other: other?.resource.metadata.name, at });
  }

  #lay(): void {
    const change = this.#layAnew(false);
    if ((change?.put?.length ?? 0) + (change?.remove?.length ?? 0) > 0) this.#options.change(change!);
  }

  /** `written`: what people have written has changed. */
  #layAnew(written: boolean): MeshChange | undefined {
    return this.#laid.lay([...this.#running.values()], written, (running, { routes, conflict }) => {
      running.routes = routes;
      running.conflict = conflict;
    });
  }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

function byAge(a: Resource, b: Resource): number {
  return a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : a.metadata.creationTimestamp > b.metadata.creationTimestamp ? 1 : 0;
}
