import type { AdsClient, Rejection, ResourceUpdate, Subscription } from '@outrigger/xds';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { atOnce, type Slices, type Steps } from '@outrigger/xds/slices';
import { describeErrors } from '../routing/compile-result.ts';
import { type ClusterPolicies, compileClusterPolicies } from '../upstream/cluster.ts';
import type { ClusterDemand, ClusterSet } from '../upstream/cluster-set.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import { clusterSteps } from '../xds/compile-cluster.ts';
import { loadAssignmentSteps } from '../xds/compile-endpoints.ts';
import { secretNames } from '../xds/tls-settings.ts';
import { LastWord } from './last-word.ts';
import { RemovalGrace } from './removal-grace.ts';
import type { SecretSubscription } from './secret-subscription.ts';

/** A cluster's secrets are waited for so long; then it is taken, and its connections say which one is missing. */
const SECRETS_TIMEOUT_MS = 5_000;

interface WholeCluster {
  readonly config: ClusterConfig;
  readonly policies: ClusterPolicies;
}

/** Both halves of a cluster's compilation; a text says why it cannot be taken. */
export function compileWhole(message: Cluster): WholeCluster | string {
  return atOnce(wholeSteps(message));
}

function* wholeSteps(message: Cluster): Steps<WholeCluster | string> {
  const config = yield* clusterSteps(message);
  if (!config.ok) return describeErrors(config.errors);
  const policies = compileClusterPolicies(config.value);
  return policies.ok ? { config: config.value, policies: policies.value } : describeErrors(policies.errors);
}

export function secretsOf(config: ClusterConfig): ReadonlySet<string> {
  const names = new Set<string>();
  for (const socket of [config.transportSocket, ...config.transportSocketRules.map((rule) => rule.socket)])
    if (socket !== null) for (const name of secretNames(socket)) names.add(name);
  return names;
}

/** CDS and EDS, by name as they are used, or CDS by wildcard. */
export class ClusterSubscription implements ClusterDemand {
  readonly #clusters: ClusterSet;
  readonly #secrets: SecretSubscription;
  readonly #wildcard: boolean;
  readonly #slices: Slices;
  readonly #cds: Subscription;
  readonly #eds: Subscription;
  /** Asked for since the last sweep. */
  readonly #fresh = new Set<string>();
  /** The wildcard has been answered: what is not there is not to be had. */
  #answered = false;
  readonly #lastWord = new LastWord();
  /** Removed by the server, and kept a moment for the routes that name them still. */
  readonly #leaving = new RemovalGrace();
  readonly #leavingEndpoints = new RemovalGrace();
  /** Whether routes that are in effect name a cluster. */
  isRouted: (cluster: string) => boolean = () => false;

  constructor(ads: AdsClient, clusters: ClusterSet, secrets: SecretSubscription, slices: Slices, wildcard: boolean) {
    this.#clusters = clusters;
    this.#secrets = secrets;
    this.#slices = slices;
    this.#wildcard = wildcard;
    this.#cds = ads.subscribe(ClusterSchema, wildcard ? ['*'] : [], (update) => this.#onClusters(update));
    this.#eds = ads.subscribe(ClusterLoadAssignmentSchema, [], (update) => this.#onEndpoints(update));
    clusters.demand = this;
  }

  wantCluster(name: string): boolean {
    if (this.#clusters.isStatic(name)) return true;
    // As Envoy: with all clusters known a route to another one is a mistake, and waits for nothing.
    if (this.#wildcard) return !this.#answered || this.#lastWord.waits(name);
    this.#fresh.add(name);
    this.#cds.add([name]);
    return true;
  }

  wantEndpoints(serviceName: string): void {
    this.#eds.add([serviceName]);
  }

  dropEndpoints(serviceName: string): void {
    this.#eds.remove([serviceName]);
  }

  /** Forgets what nothing names and nobody has asked for since the last call. */
  sweep(used: ReadonlySet<string>): void {
    if (this.#wildcard) return;
    for (const name of [...this.#cds.names]) {
      if (used.has(name) || this.#fresh.has(name)) continue;
      this.#cds.remove([name]);
      this.#clusters.forget(name);
    }
    this.#fresh.clear();
  }

  async #onClusters(update: ResourceUpdate<Cluster>): Promise<Rejection[]> {
    const rejections: Rejection[] = [];
    const turn = this.#lastWord.next();
    const taken = await this.#slices.run(this.#compile(update, turn, rejections));
    const secrets = new Set(taken.flatMap(({ config }) => [...secretsOf(config)]));
    if (secrets.size > 0) await this.#secrets.ready(secrets, SECRETS_TIMEOUT_MS);
    await this.#slices.run(this.#putInPlace(taken, turn));
    await this.#slices.run(this.#takeAway(update.removed, turn));
    this.#answered = true;
    return rejections;
  }

  *#compile({ added, removed }: ResourceUpdate<Cluster>, turn: number, rejections: Rejection[]): Steps<WholeCluster[]> {
    const taken: WholeCluster[] = [];
    for (const { name, message } of added) {
      const compiled = this.#clusters.isStatic(name) ? 'a static cluster has this name' : yield* wholeSteps(message);
      if (typeof compiled === 'string') rejections.push({ name, message: compiled });
      else {
        taken.push(compiled);
        this.#lastWord.say(turn, compiled.config.name);
        this.#leaving.keep(compiled.config.name);
      }
      yield;
    }
    for (const name of removed) this.#lastWord.say(turn, name);
    return taken;
  }

  /** Each but those that a later response has overtaken, while their secrets were waited for. */
  *#putInPlace(taken: readonly WholeCluster[], turn: number): Steps<void> {
    for (const { config, policies } of taken) {
      if (!this.#lastWord.holds(turn, config.name)) continue;
      this.#lastWord.done(turn, config.name);
      if (this.#wildcard || this.#cds.names.has(config.name)) yield* this.#clusters.setSteps(config, policies);
      yield;
    }
  }

  *#takeAway(names: readonly string[], turn: number): Steps<void> {
    for (const name of names) {
      if (!this.#lastWord.holds(turn, name)) continue;
      this.#lastWord.done(turn, name);
      this.#leaving.keep(name);
      if (this.#inUse(name)) this.#leaving.later(name, () => this.#clusters.remove(name));
      else this.#clusters.remove(name);
      yield;
    }
  }

  #inUse(name: string): boolean {
    return this.#clusters.get(name)?.warm === true && this.isRouted(name);
  }

  close(): void {
    this.#leaving.close();
    this.#leavingEndpoints.close();
  }

  async #onEndpoints({ added, removed }: ResourceUpdate<ClusterLoadAssignment>): Promise<Rejection[]> {
    const rejections: Rejection[] = [];
    await this.#slices.run(this.#takeEndpoints(added, removed, rejections));
    return rejections;
  }

  *#takeEndpoints(added: ResourceUpdate<ClusterLoadAssignment>['added'], removed: readonly string[], rejections: Rejection[]): Steps<void> {
    for (const { name, message } of added) {
      const compiled = yield* loadAssignmentSteps(message);
      if (compiled.ok) {
        this.#leavingEndpoints.keep(name);
        yield* this.#clusters.endpointSteps(name, compiled.value);
      } else rejections.push({ name, message: describeErrors(compiled.errors) });
      yield;
    }
    for (const name of removed) {
      this.#leavingEndpoints.keep(name);
      if (this.#clusters.ofService(name).some((cluster) => this.#inUse(cluster)))
        this.#leavingEndpoints.later(name, () => this.#clusters.removeEndpoints(name));
      else this.#clusters.removeEndpoints(name);
      yield;
    }
  }
}
