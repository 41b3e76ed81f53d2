import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdsClient, type AdsClientStatus, createGrpcServer, createSharedRelay, type GrpcServer, LastGoodCache, type SharedRelay } from '@outrigger/xds';
import { adsEventLog } from '../admin/ads-events.ts';
import type { KnownResources } from '../admin/config-dump.ts';
import { type BootstrapConfig, BootstrapError } from '../bootstrap/bootstrap-config.ts';
import type { ProxyLog } from '../engine/options.ts';
import { CACHE_FILE } from '../engine/proxy.ts';
import { adsTarget, SDS_CLUSTER, sdsPath } from '../subscribe/ads-target.ts';
import { compileWhole, secretsOf } from '../subscribe/cluster-subscription.ts';
import { SecretSubscription } from '../subscribe/secret-subscription.ts';
import { TlsContexts } from '../tls/contexts.ts';
import { SecretTable } from '../tls/secrets.ts';
import type { ClusterConfig } from '../xds/cluster-config.ts';

const FOLDER = 'rig-workers-';

/** The one connection of all workers to the control plane, passed on to them on a Unix socket. */
export class WorkerAds implements KnownResources {
  readonly #client: AdsClient;
  readonly #secrets: SecretSubscription;
  readonly #relay: SharedRelay;
  readonly #folder: string;
  #server: GrpcServer | undefined;

  constructor(bootstrap: BootstrapConfig, cacheDir: string | undefined, log: ProxyLog) {
    removeStale();
    this.#folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
    const { cluster, spiffeIds } = bootstrap.ads!;
    const table = new SecretTable();
    const config = staticCluster(bootstrap, cluster)!;
    this.#secrets = new SecretSubscription(table, sdsPath(staticCluster(bootstrap, SDS_CLUSTER)), bootstrap.node.id, log);
    this.#secrets.want(secretsOf(config));
    const cache = cacheDir === undefined ? undefined : LastGoodCache.open(join(cacheDir, CACHE_FILE), { onWarning: (message) => log('warn', message) });
    this.#client = new AdsClient({
      target: adsTarget(config, spiffeIds, this.#secrets, new TlsContexts(table)),
      node: bootstrap.node,
      ...(cache === undefined ? {} : { cache }),
      onEvent: adsEventLog(log),
    });
    this.#relay = createSharedRelay(this.#client);
  }

  get path(): string {
    return join(this.#folder, 'ads.sock');
  }

  get status(): AdsClientStatus {
    return this.#client.status();
  }

  *entries(typeUrl: string): Iterable<{ readonly name: string; readonly version: string; readonly value: Uint8Array }> {
    for (const { name, version, body } of this.#relay.entries(typeUrl)) yield { name, version, value: body.value };
  }

  async start(): Promise<void> {
    this.#server = await createGrpcServer({ listen: { socketPath: this.path }, methods: this.#relay.methods });
    this.#client.start();
  }

  async close(): Promise<void> {
    this.#relay.close();
    this.#client.close();
    this.#secrets.close();
    await this.#server?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Of parents that were killed. */
function removeStale(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(FOLDER) ? Number(name.slice(FOLDER.length).split('-')[0]) : 0;
    if (pid > 0 && !isRunning(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** Another user's is, too. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function staticCluster(bootstrap: BootstrapConfig, name: string): ClusterConfig | undefined {
  const message = bootstrap.clusters.find((cluster) => cluster.name === name);
  if (message === undefined) return undefined;
  const compiled = compileWhole(message);
  if (typeof compiled === 'string') throw new BootstrapError('invalid', `static cluster ${name} cannot be used: ${compiled}`);
  return compiled.config;
}
