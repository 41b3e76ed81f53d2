import type { AdsClient, Rejection, ResourceUpdate, Subscription } from '@outrigger/xds';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { Slices, Steps } from '@outrigger/xds/slices';
import { RouteSlot } from '../engine/route-slot.ts';
import { describeErrors } from '../routing/compile-result.ts';
import type { ClusterSet } from '../upstream/cluster-set.ts';
import { RouteAssembly } from './route-assembly.ts';

/** A table is held back so long for its clusters; then it is taken, and requests to what is missing say so. */
const CLUSTERS_TIMEOUT_MS = 5_000;

/** RDS and VHDS: every route configuration that a listener names, and the virtual hosts that requests ask for. */
export class RouteSubscription {
  readonly #clusters: ClusterSet;
  readonly #slices: Slices;
  readonly #nowMs: () => number;
  readonly #rds: Subscription;
  readonly #vhds: Subscription;
  readonly #assemblies = new Map<string, RouteAssembly>();

  constructor(ads: AdsClient, clusters: ClusterSet, slices: Slices, nowMs: () => number) {
    this.#clusters = clusters;
    this.#slices = slices;
    this.#nowMs = nowMs;
    this.#rds = ads.subscribe(RouteConfigurationSchema, [], (update) => this.#onRoutes(update));
    this.#vhds = ads.subscribe(VirtualHostSchema, [], (update) => this.#onVirtualHosts(update));
  }

  /** The slot of a name, asked for from now on. */
  slot(name: string): RouteSlot {
    return this.#assembly(name).slot;
  }

  get slots(): Iterable<RouteSlot> {
    return [...this.#assemblies.values()].map((assembly) => assembly.slot);
  }

  /** Whether a table that is in effect names a cluster. */
  names(cluster: string): boolean {
    for (const { slot } of this.#assemblies.values()) if (slot.table?.clusters.has(cluster) === true) return true;
    return false;
  }

  /** Forgets route configurations that no listener names, and virtual hosts that no request has used for long. */
  sweep(used: ReadonlySet<string>): void {
    for (const [name, assembly] of this.#assemblies) {
      if (used.has(name)) {
        if (assembly.sweep(this.#nowMs())) void this.#slices.run(assembly.renewSteps());
      } else {
        this.#assemblies.delete(name);
        this.#rds.remove([name]);
        assembly.close();
      }
    }
  }

  #assembly(name: string): RouteAssembly {
    let assembly = this.#assemblies.get(name);
    if (assembly === undefined) {
      assembly = new RouteAssembly(new RouteSlot(name, null), {
        want: (resource) => this.#vhds.add([resource]),
        drop: (resources) => this.#vhds.remove(resources),
        nowMs: this.#nowMs,
      });
      this.#assemblies.set(name, assembly);
      this.#rds.add([name]);
    }
    return assembly;
  }

  async #onRoutes(update: ResourceUpdate<RouteConfiguration>): Promise<Rejection[]> {
    const rejections: Rejection[] = [];
    const waits = update.added.map(async ({ name, message }) => {
      const assembly = this.#assemblies.get(name);
      if (assembly === undefined) return;
      const table = await this.#slices.run(assembly.configureSteps(message));
      if (!table.ok) rejections.push({ name, message: describeErrors(table.errors) });
      else await this.#publish(assembly);
    });
    await Promise.all(waits);
    // A listener that names it goes on with what it had: the removal of a route that is in use is the server's mistake.
    return rejections;
  }

  async #onVirtualHosts(update: ResourceUpdate<VirtualHost>): Promise<Rejection[]> {
    const rejections: Rejection[] = [];
    const changed = await this.#slices.run(this.#takeVirtualHosts(update, rejections));
    await Promise.all(Array.from(changed, (assembly) => this.#publish(assembly)));
    return rejections;
  }

  *#takeVirtualHosts(update: ResourceUpdate<VirtualHost>, rejections: Rejection[]): Steps<Set<RouteAssembly>> {
    const changed = new Set<RouteAssembly>();
    const added = Map.groupBy(update.added, ({ name }) => routeNameOf(name));
    const removed = Map.groupBy(update.removed, routeNameOf);
    for (const routeName of new Set([...added.keys(), ...removed.keys()])) {
      const assembly = this.#assemblies.get(routeName);
      if (assembly === undefined) continue;
      const before = assembly.pending;
      const refused = yield* assembly.updateSteps(added.get(routeName) ?? [], removed.get(routeName) ?? []);
      for (const { name, errors } of refused) rejections.push({ name, message: describeErrors(errors) });
      if (assembly.pending !== before) changed.add(assembly);
    }
    return changed;
  }

  async #publish(assembly: RouteAssembly): Promise<void> {
    const { pending } = assembly;
    if (pending === null) return;
    // Clusters that came together with it may be behind it.
    await this.#slices.afterAll();
    await this.#clusters.ready(pending.clusters, CLUSTERS_TIMEOUT_MS);
    assembly.publish(pending);
  }
}

/** "http_proxy/order-service:8080" is a virtual host of "http_proxy". */
function routeNameOf(resourceName: string): string {
  return resourceName.slice(0, Math.max(0, resourceName.lastIndexOf('/')));
}
