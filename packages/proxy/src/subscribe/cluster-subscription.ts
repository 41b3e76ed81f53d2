import type { AdsClient, Rejection, ResourceUpdate, Subscription } from '@outrigger/xds';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { describeErrors } from '../routing/compile-result.ts';
import { type ClusterPolicies, compileClusterPolicies } from '../upstream/cluster.ts';
import type { ClusterDemand, ClusterSet } from '../upstream/cluster-set.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';
import { compileCluster } from '../xds/compile-cluster.ts';
import { compileLoadAssignment } from '../xds/compile-endpoints.ts';
import { secretNames } from '../xds/tls-settings.ts';
import type { SecretSubscription } from './secret-subscription.ts';

/** A cluster's secrets are waited for so long; then it is taken, and its connections say which one is missing. */
const SECRETS_TIMEOUT_MS = 5_000;

/** Both halves of a cluster's compilation; a text says why it cannot be taken. */
export function compileWhole(message: Cluster): { readonly config: ClusterConfig; readonly policies: ClusterPolicies } | string {
  const config = compileCluster(message);
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
  readonly #cds: Subscription;
  readonly #eds: Subscription;
  /** Asked for since the last sweep. */
  readonly #fresh = new Set<string>();
  /** The wildcard has been answered: what is not there is not to be had. */
  #answered = false;
  /** Told of, and not there yet: their secrets are waited for. */
  readonly #arriving = new Set<string>();

  constructor(ads: AdsClient, clusters: ClusterSet, secrets: SecretSubscription, wildcard: boolean) {
    this.#clusters = clusters;
    this.#secrets = secrets;
    this.#wildcard = wildcard;
    this.#cds = ads.subscribe(ClusterSchema, wildcard ? ['*'] : [], (update) => this.#onClusters(update));
    this.#eds = ads.subscribe(ClusterLoadAssignmentSchema, [], (update) => this.#onEndpoints(update));
    clusters.demand = this;
  }

  wantCluster(name: string): boolean {
    if (this.#clusters.isStatic(name)) return true;
    // As Envoy: with all clusters known a route to another one is a mistake, and waits for nothing.
    if (this.#wildcard) return !this.#answered || this.#arriving.has(name);
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
    const taken: NonNullable<Exclude<ReturnType<typeof compileWhole>, string>>[] = [];
    for (const { name, message } of update.added) {
      const compiled = this.#clusters.isStatic(name) ? 'a static cluster has this name' : compileWhole(message);
      if (typeof compiled === 'string') rejections.push({ name, message: compiled });
      else taken.push(compiled);
    }
    const secrets = new Set(taken.flatMap(({ config }) => [...secretsOf(config)]));
    if (secrets.size > 0) {
      for (const { config } of taken) this.#arriving.add(config.name);
      await this.#secrets.ready(secrets, SECRETS_TIMEOUT_MS);
      for (const { config } of taken) this.#arriving.delete(config.name);
    }
    for (const { config, policies } of taken) if (this.#wildcard || this.#cds.names.has(config.name)) this.#clusters.set(config, policies);
    for (const name of update.removed) this.#clusters.remove(name);
    this.#answered = true;
    return rejections;
  }

  #onEndpoints(update: ResourceUpdate<ClusterLoadAssignment>): Rejection[] {
    const rejections: Rejection[] = [];
    for (const { name, message } of update.added) {
      const compiled = compileLoadAssignment(message);
      if (compiled.ok) this.#clusters.setEndpoints(name, compiled.value);
      else rejections.push({ name, message: describeErrors(compiled.errors) });
    }
    for (const name of update.removed) this.#clusters.removeEndpoints(name);
    return rejections;
  }
}
