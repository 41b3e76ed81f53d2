import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DescMessage, JsonObject, MessageShape } from '@bufbuild/protobuf';
import {
  createAdsRoutes,
  createGrpcServer,
  createSdsRoutes,
  type DiscoveryRoutes,
  type GrpcServer,
  packResource,
  type ResourceSource,
  type SecretStore,
  TypeUrl,
  type VersionedResource,
} from '@outrigger/xds';
import { type Cluster, ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { type Listener, ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { type VirtualHost, VirtualHostSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { type Secret, SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { message } from './messages.ts';

/** One answer of a proxy to what it was sent. */
export interface Verdict {
  readonly kind: 'ack' | 'nack';
  readonly typeUrl: TypeUrl;
  /** With its words; '' for an ACK. */
  readonly reason: string;
  readonly names: readonly string[];
}

/** A control plane with an agent beside it: ADS and SDS of what a test puts there, on Unix sockets in a folder of its own. */
export class TestControlPlane {
  readonly folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  readonly verdicts: Verdict[] = [];
  readonly #resources = new Map<TypeUrl, Map<string, VersionedResource>>();
  readonly #secrets = new Map<string, Secret>();
  readonly #pending = new Set<string>();
  readonly #changed = new Set<(typeUrl: TypeUrl, names: ReadonlySet<string>) => void>();
  readonly #secretChanged = new Set<(name: string) => void>();
  readonly #subscribed = new Map<TypeUrl, readonly string[]>();
  readonly #waiting = new Set<() => void>();
  #routes: DiscoveryRoutes[] = [];
  #servers: GrpcServer[] = [];

  static async start(): Promise<TestControlPlane> {
    const plane = new TestControlPlane();
    await plane.serve();
    return plane;
  }

  get adsPath(): string {
    return join(this.folder, 'ads.sock');
  }

  get sdsPath(): string {
    return join(this.folder, 'sds.sock');
  }

  async serve(): Promise<void> {
    const ads = createAdsRoutes(this.#source());
    const sds = createSdsRoutes(this.#secretStore());
    this.#routes = [ads, sds];
    this.#servers = await Promise.all([
      createGrpcServer({ listen: { socketPath: this.adsPath }, methods: ads.methods }),
      createGrpcServer({ listen: { socketPath: this.sdsPath }, methods: sds.methods }),
    ]);
  }

  /** Goes away; what was put is there again after `serve`. */
  async stop(): Promise<void> {
    for (const routes of this.#routes) routes.close();
    await Promise.all(this.#servers.map((server) => server.close()));
    this.#servers = [];
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  listener(one: Listener): void {
    this.#put(ListenerSchema, TypeUrl.listener, one.name, one);
  }

  cluster(one: Cluster): void {
    this.#put(ClusterSchema, TypeUrl.cluster, one.name, one);
  }

  endpoints(one: ClusterLoadAssignment): void {
    this.#put(ClusterLoadAssignmentSchema, TypeUrl.endpoint, one.clusterName, one);
  }

  route(one: RouteConfiguration): void {
    this.#put(RouteConfigurationSchema, TypeUrl.route, one.name, one);
  }

  virtualHost(resourceName: string, one: VirtualHost, aliases: readonly string[] = []): void {
    this.#put(VirtualHostSchema, TypeUrl.virtualHost, resourceName, one, aliases);
  }

  secret(name: string, fields: JsonObject): void {
    this.#secrets.set(name, message(SecretSchema, { name, ...fields }));
    for (const changed of this.#secretChanged) changed(name);
  }

  /** That name is not known yet, until something is put there. */
  hold(typeUrl: TypeUrl, name: string): void {
    this.#pending.add(`${typeUrl} ${name}`);
  }

  remove(typeUrl: TypeUrl, name: string): void {
    this.#resources.get(typeUrl)?.delete(name);
    for (const changed of this.#changed) changed(typeUrl, new Set([name]));
  }

  subscribed(typeUrl: TypeUrl): readonly string[] {
    return this.#subscribed.get(typeUrl) ?? [];
  }

  /** Forgets the verdicts so far. */
  forget(): void {
    this.verdicts.length = 0;
  }

  /** The first verdict of that type that has that name, or the next one. */
  async verdict(typeUrl: TypeUrl, name: string): Promise<Verdict> {
    let found: Verdict | undefined;
    await this.until(() => {
      found = this.verdicts.find((verdict) => verdict.typeUrl === typeUrl && verdict.names.includes(name));
      return found !== undefined;
    });
    return found!;
  }

  /** Looked at after each message of a proxy. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
  }

  #put<Desc extends DescMessage>(schema: Desc, typeUrl: TypeUrl, name: string, one: MessageShape<Desc>, aliases: readonly string[] = []): void {
    const resources = this.#resources.get(typeUrl) ?? new Map<string, VersionedResource>();
    this.#resources.set(typeUrl, resources.set(name, packResource(schema, name, one, aliases)));
    for (const changed of this.#changed) changed(typeUrl, new Set([name]));
  }

  #source(): ResourceSource {
    return {
      open: (_node, _caller, changed) => {
        this.#changed.add(changed);
        const note = (kind: Verdict['kind'], typeUrl: TypeUrl, versions: ReadonlyMap<string, string>, reason: string): void => {
          this.verdicts.push({ kind, typeUrl, reason, names: [...versions.keys()] });
          for (const wake of this.#waiting) wake();
        };
        return {
          get: (typeUrl, name) => {
            const resources = this.#resources.get(typeUrl);
            if (!resources?.has(name) && this.#pending.has(`${typeUrl} ${name}`)) return 'pending';
            return resources?.get(name) ?? [...(resources?.values() ?? [])].find(({ aliases }) => aliases?.includes(name));
          },
          wildcard: (typeUrl) => this.#resources.get(typeUrl)?.keys() ?? [],
          acked: (typeUrl, versions) => note('ack', typeUrl, versions, ''),
          nacked: (typeUrl, versions, reason) => note('nack', typeUrl, versions, reason),
          subscribed: (typeUrl, names) => {
            this.#subscribed.set(typeUrl, [...names]);
            for (const wake of this.#waiting) wake();
          },
          close: () => this.#changed.delete(changed),
        };
      },
    };
  }

  #secretStore(): SecretStore {
    return {
      get: (name) => this.#secrets.get(name),
      onChange: (listener) => {
        this.#secretChanged.add(listener);
        return () => this.#secretChanged.delete(listener);
      },
    };
  }
}
