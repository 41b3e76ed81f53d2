import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { createGrpcServer, createSdsRoutes, type GrpcServer, TypeUrl, type VersionedResource } from '@outrigger/xds';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { type Plane, type Running, startOurs } from '../proxy/data-plane.ts';
import { bootstrap } from '../xds/bootstrap.ts';
import { startEnvoy } from '../xds/envoy.ts';
import { ControlPlane } from '../xds/world.ts';
import { EchoBackend } from './echo-backend.ts';
import type { Secrets } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';

const ACK_PATIENCE_MS = 5_000;
const SPARE_PORTS = 200;

/** One of the two proxies, alive for many snapshots, with a backend of its own behind it. */
export class Contestant {
  readonly plane: Plane;
  readonly backend: EchoBackend;
  readonly #controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
  readonly #folder = mkdtempSync(join(tmpdir(), 'differential-'));
  readonly #ports = new Map<string, number>();
  #spare: number[] = [];
  #current = new Map<TypeUrl, ReadonlyMap<string, VersionedResource>>();
  #running!: Running;
  #sds!: GrpcServer;

  private constructor(plane: Plane, backend: EchoBackend) {
    this.plane = plane;
    this.backend = backend;
  }

  /** Without a backend it gets one of its own. */
  static async start(plane: Plane, secrets: Secrets, given?: EchoBackend): Promise<Contestant> {
    const backend = given ?? new EchoBackend(await secrets.certificate());
    if (given === undefined) await backend.start();
    const made = new Contestant(plane, backend);
    for (let count = 0; count < SPARE_PORTS; count++) made.#spare.push(await freePort());
    await made.#controlPlane.start();
    const socketPath = join(made.#folder, 'sds.sock');
    const sds = createSdsRoutes(secrets);
    made.#sds = await createGrpcServer({ listen: { socketPath }, methods: sds.methods });
    const { dynamic_resources: dynamic, ...config } = bootstrap('DELTA_GRPC', { port: made.#controlPlane.port }, { path: socketPath }) as Record<
      string,
      JsonObject
    >;
    const { cds_config: wildcard, ...others } = dynamic!;
    const whole = {
      ...config,
      // Ours asks for clusters by name.
      dynamic_resources: plane === 'envoy' ? { ...others, cds_config: wildcard! } : others,
      bootstrap_extensions: [
        {
          name: 'envoy.bootstrap.internal_listener',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener' },
        },
      ],
    } as JsonObject;
    made.#running = plane === 'envoy' ? await startEnvoy(peer('envoy')!, made.#folder, 'envoy', whole) : await startOurs(made.#folder, whole);
    return made;
  }

  get log(): string {
    return this.#running.log();
  }

  /** The same for one name of a listener, always. */
  portOf(listener: string): number {
    const known = this.#ports.get(listener);
    if (known !== undefined) return known;
    const port = this.#spare.shift();
    if (port === undefined) throw new Error(`more than ${SPARE_PORTS} names of listeners`);
    this.#ports.set(listener, port);
    return port;
  }

  endpointOf(cluster: string): { readonly address: string; readonly port: number } {
    return { address: this.backend.addressOf(cluster), port: this.backend.port };
  }

  /** Takes the place of all that was said before; what the proxy has refused of it, in its own words. */
  async take({ resources }: Snapshot): Promise<readonly string[]> {
    const { source } = this.#controlPlane;
    source.events.length = 0;
    const changes: [TypeUrl, string, VersionedResource | undefined][] = [];
    for (const [typeUrl, wanted] of resources) {
      const before = this.#current.get(typeUrl) ?? new Map<string, VersionedResource>();
      for (const [name, resource] of wanted) if (before.get(name)?.version !== resource.version) changes.push([typeUrl, name, resource]);
      for (const name of before.keys()) if (!wanted.has(name)) changes.push([typeUrl, name, undefined]);
    }
    this.#current = new Map([...this.#current, ...resources]);
    source.apply(changes);
    // Virtual hosts are asked for when a request wants them.
    await this.#settled(new Set(changes.map(([typeUrl]) => typeUrl).filter((typeUrl) => typeUrl !== TypeUrl.virtualHost)));
    return source.events.flatMap((event) => (event.kind === 'nacked' ? [event.message] : []));
  }

  /** Until nothing is left to be said or to be answered. */
  async #settled(types: ReadonlySet<TypeUrl>): Promise<void> {
    const { source } = this.#controlPlane;
    let timer: NodeJS.Timeout | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ACK_PATIENCE_MS);
    });
    const all = [...types].map((typeUrl) => source.until((event) => event.kind === 'settled' && event.typeUrl === typeUrl));
    await Promise.race([Promise.all(all), tooLong]);
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    await this.#running?.kill();
    await this.#controlPlane.kill();
    await this.#sds?.close();
    this.backend.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
