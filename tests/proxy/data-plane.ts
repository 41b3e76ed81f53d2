import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf';
import { packResource, TypeUrl } from '@outrigger/xds';
import { ClusterSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { ClusterLoadAssignmentSchema } from '@outrigger/xds/protos/envoy/config/endpoint/v3/endpoint';
import { ListenerSchema } from '@outrigger/xds/protos/envoy/config/listener/v3/listener';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { SecretSchema } from '@outrigger/xds/protos/envoy/extensions/transport_sockets/tls/v3/secret';
import { message } from '../../packages/proxy/src/testing/messages.ts';
import { peer } from '../harness/peers.ts';
import { freePort } from '../harness/ports.ts';
import { bootstrap } from '../xds/bootstrap.ts';
import { startEnvoy, until } from '../xds/envoy.ts';
import { ControlPlane } from '../xds/world.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');

export type Plane = 'outrigger' | 'envoy';
/** For `describe.each`: the same xDS is given to each, and the same outcome expected. */
export const planes: readonly Plane[] = ['outrigger', 'envoy'];

/** xDS as JSON (camelCase or the names of the .proto), by resource name; null takes one away. */
export interface Resources {
  /** Without an `address` it gets a port of its own on loopback. */
  readonly listeners?: Readonly<Record<string, JsonObject | null>>;
  readonly routes?: Readonly<Record<string, JsonObject | null>>;
  readonly clusters?: Readonly<Record<string, JsonObject | null>>;
  readonly endpoints?: Readonly<Record<string, JsonObject | null>>;
  readonly secrets?: Readonly<Record<string, JsonObject | null>>;
}

const kinds = [
  ['clusters', TypeUrl.cluster, ClusterSchema, 'name'],
  ['secrets', TypeUrl.secret, SecretSchema, 'name'],
  ['endpoints', TypeUrl.endpoint, ClusterLoadAssignmentSchema, 'clusterName'],
  ['listeners', TypeUrl.listener, ListenerSchema, 'name'],
  ['routes', TypeUrl.route, RouteConfigurationSchema, 'name'],
] as const;

/** Further fields of the bootstrap, those of the node, and static clusters. */
export interface BootstrapFields {
  readonly node?: JsonObject;
  readonly clusters?: readonly JsonObject[];
  readonly cluster_manager?: JsonObject;
  readonly overload_manager?: JsonObject;
}

/** A proxy that runs. */
export interface Running {
  readonly pid: number;
  readonly adminPort: number;
  log(): string;
  kill(): Promise<void>;
}

/** A proxy as a process of its own, ours or Envoy, under an ADS server that says what a test gives it. */
export class DataPlane {
  readonly plane: Plane;
  readonly #folder = mkdtempSync(join(tmpdir(), 'data-plane-'));
  readonly #controlPlane = new ControlPlane({ listen: { host: '127.0.0.1', port: 0 } });
  readonly #ports = new Map<string, number>();
  #running: Running | undefined;

  private constructor(plane: Plane) {
    this.plane = plane;
  }

  /** Started, and every listener that was given accepts connections. */
  static async start(plane: Plane, resources: Resources = {}, bootstrapFields: BootstrapFields = {}): Promise<DataPlane> {
    const made = new DataPlane(plane);
    try {
      await made.#controlPlane.start();
      await made.apply(resources);
      made.#running = await made.#startProxy(bootstrapFields);
      for (const name of Object.keys(resources.listeners ?? {})) await made.listening(name);
    } catch (error) {
      const { log } = made;
      await made.stop();
      throw new Error(`${String(error)}; its log: ${log.slice(-4_000)}`, { cause: error });
    }
    return made;
  }

  /** Puts resources in place; what a proxy makes of them shows in `refusals` and on the wire. */
  async apply(resources: Resources): Promise<void> {
    const changes: Parameters<ControlPlane['source']['apply']>[0][number][] = [];
    for (const [kind, typeUrl, schema, nameField] of kinds)
      for (const [name, json] of Object.entries(resources[kind] ?? {})) {
        if (json === null) changes.push([typeUrl, name, undefined]);
        else {
          const named = { [nameField]: name, ...json };
          const whole = kind === 'listeners' ? await this.#withAddress(name, named) : named;
          changes.push([typeUrl, name, packResource<DescMessage>(schema, name, message<DescMessage>(schema, whole))]);
        }
      }
    this.#controlPlane.source.apply(changes);
  }

  /** Of a listener that was given without an address. */
  port(listener: string): number {
    const port = this.#ports.get(listener);
    if (port === undefined) throw new Error(`no listener ${listener} was given`);
    return port;
  }

  get pid(): number {
    return this.#running!.pid;
  }

  get adminPort(): number {
    return this.#running!.adminPort;
  }

  async admin(path: string): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${this.adminPort}${path}`)).text();
  }

  /** What the proxy has refused so far, in its own words. */
  get refusals(): readonly string[] {
    return this.#controlPlane.source.events.flatMap((event) => (event.kind === 'nacked' ? [event.message] : []));
  }

  get log(): string {
    return this.#running?.log() ?? '';
  }

  async listening(listener: string): Promise<void> {
    await until(`${this.plane} listens for ${listener} (refusals: ${this.refusals.join('; ')})`, async () => {
      const text = await this.admin('/listeners');
      return text.includes(`:${this.port(listener)}`) ? true : undefined;
    });
  }

  async stop(): Promise<void> {
    await this.#running?.kill();
    await this.#controlPlane.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #withAddress(name: string, json: JsonObject): Promise<JsonObject> {
    if ('address' in json || 'internalListener' in json) return json;
    let port = this.#ports.get(name);
    if (port === undefined) {
      port = await freePort();
      this.#ports.set(name, port);
    }
    return { ...json, address: { socketAddress: { address: '127.0.0.1', portValue: port } } };
  }

  async #startProxy({ node: nodeFields = {}, clusters = [], ...fields }: BootstrapFields): Promise<Running> {
    const config = bootstrap('DELTA_GRPC', { port: this.#controlPlane.port }) as Record<string, JsonValue>;
    const statics = config['static_resources'] as JsonObject;
    const withInternals = {
      ...config,
      ...fields,
      node: { ...(config['node'] as JsonObject), ...nodeFields },
      static_resources: { ...statics, clusters: [...(statics['clusters'] as JsonValue[]), ...clusters] },
      bootstrap_extensions: [
        {
          name: 'envoy.bootstrap.internal_listener',
          typed_config: { '@type': 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener' },
        },
      ],
    };
    if (this.plane === 'envoy') return startEnvoy(peer('envoy')!, this.#folder, 'envoy', withInternals);
    return startOurs(this.#folder, withInternals);
  }
}

/** Ours, from a bootstrap; its admin interface gets an address of its own. */
export async function startOurs(folder: string, config: JsonObject): Promise<Running> {
  const path = join(folder, 'bootstrap.json');
  const adminPort = await freePort();
  writeFileSync(path, JSON.stringify({ ...config, admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } } }));
  const child: ChildProcess = spawn(node, [rigProgram, 'proxy', '--config', path, '--cache', join(folder, 'cache')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until('our proxy’s admin interface answers', async () => {
    if (child.exitCode !== null) throw new Error(`our proxy ended with ${child.exitCode}: ${log}`);
    return (await fetch(`http://127.0.0.1:${adminPort}/listeners`)).ok ? true : undefined;
  });
  return {
    pid: child.pid!,
    adminPort,
    log: () => log,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
