import { type FSWatcher, statSync, watch } from 'node:fs';
import { resolve } from 'node:path';
import {
  createValidator,
  type FoundSettings,
  groupOf,
  type KubernetesDocument,
  meshConfigIn,
  meshNetworksIn,
  type Resource,
  readResources,
  refOf,
  refText,
} from '@outrigger/resources';
import type { Problem } from '../api/shapes.ts';
import { every } from '../clock.ts';
import { type Configuration, keyText } from '../config/configuration.ts';
import type { Clock, LogEntry } from '../options.ts';
import { Debounce } from '../push/debounce.ts';
import type { Source } from '../store/resource-store.ts';
import { StoreError } from '../store/store-error.ts';
import { type FileFault, readConfigFile, type Scan, scanFolder } from './scan.ts';

/** Editors write a file in several steps; what is read in the middle of that is read again. */
const SETTLE_MS = 50;
/** Whatever the system's notifications miss (network disks, links) is found by then. */
const RESCAN_MS = 2_000;

/** One file as it was last read. */
interface ReadFile extends FolderSettings {
  readonly stamp: string;
  readonly resources: readonly Resource[];
  /** Not empty: nothing of the file is taken, and what it gave before stays. */
  readonly problems: readonly Omit<Problem, 'sinceMs'>[];
}

export interface FolderSettings {
  readonly meshConfigs: readonly FoundSettings[];
  readonly meshNetworks: readonly FoundSettings[];
}

export interface FolderOptions {
  readonly directory: string;
  readonly configuration: Configuration;
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  readonly onProblems: () => void;
  /** What it has of the mesh's settings, in the order of its files. */
  readonly onSettings?: (found: FolderSettings) => void;
  /** What is in force of a file's settings, from before this start. */
  readonly settingsOf?: (path: string) => FolderSettings;
}

/** A folder whose files are the configuration. */
export class WatchedFolder {
  readonly #options: FolderOptions;
  readonly #directory: string;
  readonly #validator = createValidator();
  readonly #files = new Map<string, ReadFile>();
  readonly #debounce: Debounce;
  #problems: readonly Problem[] = [];
  #watcher: FSWatcher | undefined;
  #stopRescan = () => {};
  #running: Promise<void> = Promise.resolve();
  #applied = '';
  #away = false;
  /** Objects that stand against what was applied otherwise: that may change without the folder. */
  #clashing = false;

  constructor(options: FolderOptions) {
    this.#options = options;
    this.#directory = resolve(options.directory);
    this.#debounce = new Debounce(options.clock, SETTLE_MS, () => void this.sync(), SETTLE_MS);
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Reads it a first time and begins to watch. Throws where there is no such folder. */
  async start(): Promise<void> {
    if (!statSync(this.#directory).isDirectory()) throw new Error(`${this.#directory} is not a folder`);
    await this.sync();
    this.#watch();
    this.#stopRescan = every(this.#options.clock, RESCAN_MS, () => this.sync());
  }

  #watch(): void {
    this.#watcher?.close();
    try {
      const watcher = watch(this.#directory, { recursive: true }, () => this.#debounce.trigger());
      watcher.on('error', () => watcher.close());
      this.#watcher = watcher;
    } catch (error) {
      this.#options.log({
        level: 'warn',
        part: 'config',
        message: `changes in ${this.#directory} are found by looking every ${RESCAN_MS / 1000} s: ${(error as Error).message}`,
      });
    }
  }

  stop(): void {
    this.#debounce.stop();
    this.#stopRescan();
    this.#watcher?.close();
  }

  /** Brings what is in force up to the folder's present content. */
  sync(): Promise<void> {
    this.#running = this.#running
      .then(() => this.#sync())
      .catch((error: Error) => {
        this.#report([
          {
            what: `the folder could not be taken over: ${error.message}`,
            where: this.#directory,
            next: error instanceof StoreError ? error.next : 'See the log of rig up.',
          },
        ]);
      });
    return this.#running;
  }

  async #sync(): Promise<void> {
    let scan: Scan;
    try {
      scan = scanFolder(this.#directory);
    } catch (error) {
      // A folder that is away for a moment (a deployment, a mount) is no order to remove everything.
      this.#away = true;
      this.#report([
        {
          what: `the folder cannot be read: ${(error as Error).message}; what it gave stays in force`,
          where: this.#directory,
          next: 'Bring it back; an empty folder removes all.',
        },
      ]);
      return;
    }
    const present = new Set(scan.files.map(({ path }) => path));
    let changed = this.#away;
    if (this.#away) {
      this.#away = false;
      // It may be another folder of the same name now.
      if (this.#watcher !== undefined) this.#watch();
    }
    for (const path of this.#files.keys()) {
      if (present.has(path)) continue;
      this.#files.delete(path);
      changed = true;
    }
    for (const { path, stamp } of scan.files) {
      if (this.#files.get(path)?.stamp === stamp) continue;
      this.#files.set(path, await this.#read(path, stamp));
      changed = true;
    }
    const signature = JSON.stringify(scan.faults);
    if (!changed && !this.#clashing && signature === this.#applied) return;

    const problems = scan.faults.map((fault) => problemOf(fault));
    const { resources, clashes, badFiles } = this.#merge(problems);
    const keep = (source: Source): boolean => badFiles.has(source.file) || (!scan.whole && !present.has(source.file));
    await this.#options.configuration.applyFolder(resources, keep);
    this.#applied = signature;
    this.#clashing = clashes.length > 0;
    const ordered = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
    this.#options.onSettings?.({
      meshConfigs: ordered.flatMap(({ meshConfigs }) => meshConfigs),
      meshNetworks: ordered.flatMap(({ meshNetworks }) => meshNetworks),
    });
    this.#report([...problems, ...clashes]);
  }

  async #read(path: string, stamp: string): Promise<ReadFile> {
    const content = readConfigFile(this.#directory, path);
    const { meshConfigs, meshNetworks } = this.#files.get(path) ?? this.#options.settingsOf?.(path) ?? { meshConfigs: [], meshNetworks: [] };
    if (!(content instanceof Uint8Array)) return { stamp, resources: [], problems: [problemOf(content)], meshConfigs, meshNetworks };
    const { resources, problems, skipped, others } = await readResources([{ file: path, text: content }], { validator: this.#validator });
    this.#tellSkipped(path, withoutSettings(skipped, others));
    const errors = problems.filter(({ level }) => level === 'Error');
    return {
      stamp,
      resources,
      ...(errors.length > 0
        ? { meshConfigs, meshNetworks }
        : {
            meshConfigs: others.map(meshConfigIn).filter((one) => one !== undefined),
            meshNetworks: others.map(meshNetworksIn).filter((one) => one !== undefined),
          }),
      problems: errors.map((problem) => ({
        what: problem.resource === undefined ? problem.message : `${refText(problem.resource)}: ${problem.message}`,
        where: `${problem.file}:${problem.line}`,
        next: problem.next,
      })),
    };
  }

  /** Once for each version of a file: a folder may well be a whole repository's. */
  #tellSkipped(path: string, skipped: Readonly<Record<string, number>>): void {
    const kinds = Object.entries(skipped).map(([kind, count]) => `${count} ${kind}`);
    if (kinds.length === 0) return;
    this.#options.log({
      level: 'info',
      part: 'config',
      message: `${path}: left out ${kinds.join(', ')}, which Kubernetes acts on; \`rig workloads\` makes a list of them for \`rig node\``,
    });
  }

  /** The good files' resources. Of an object in two files, the one that is in force stays. */
  #merge(problems: Omit<Problem, 'sinceMs'>[]): { resources: Resource[]; clashes: Omit<Problem, 'sinceMs'>[]; badFiles: Set<string> } {
    const { configuration } = this.#options;
    const chosen = new Map<string, Resource>();
    const clashes: Omit<Problem, 'sinceMs'>[] = [];
    const badFiles = new Set<string>();
    for (const [path, file] of [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (file.problems.length > 0) {
        badFiles.add(path);
        problems.push(...file.problems);
        continue;
      }
      for (const resource of file.resources) {
        const key = keyText(resource);
        const inForce = configuration.inForce(key)?.source;
        if (inForce?.manager === 'api') {
          clashes.push({
            what: `${refText(refOf(resource))} was applied with rig apply; the file's is not taken`,
            where: whereOf(resource),
            next: `rig delete ${resource.kind}.${groupOf(resource.apiVersion)} ${resource.metadata.name} --namespace ${resource.metadata.namespace}, or take it out of the file`,
          });
          continue;
        }
        const other = chosen.get(key);
        if (other === undefined) {
          chosen.set(key, resource);
          continue;
        }
        const stays = inForce?.file === resource.origin?.file ? resource : other;
        const goes = stays === other ? resource : other;
        chosen.set(key, stays);
        clashes.push({
          what: `${refText(refOf(resource))} is in two files; the one in ${whereOf(stays)} is taken`,
          where: whereOf(goes),
          next: 'Remove one of the two.',
        });
      }
    }
    // What a bad file gave before stays its own, though another file names it too.
    for (const [key, resource] of chosen) {
      const inForce = configuration.inForce(key)?.source;
      if (inForce === undefined || inForce.file === resource.origin?.file || !badFiles.has(inForce.file)) continue;
      chosen.delete(key);
      clashes.push({
        what: `${refText(refOf(resource))} is in force from ${inForce.file}, which has errors now`,
        where: whereOf(resource),
        next: `Correct or remove ${inForce.file}.`,
      });
    }
    return { resources: [...chosen.values()], clashes, badFiles };
  }

  #report(problems: readonly Omit<Problem, 'sinceMs'>[]): void {
    const old = new Map(this.#problems.map((problem) => [`${problem.where} ${problem.what}`, problem.sinceMs]));
    const now = this.#options.clock.now();
    const next = problems.map((problem) => ({ ...problem, sinceMs: old.get(`${problem.where} ${problem.what}`) ?? now }));
    if (JSON.stringify(next) === JSON.stringify(this.#problems)) return;
    for (const problem of next) {
      if (!old.has(`${problem.where} ${problem.what}`))
        this.#options.log({ level: 'error', part: 'config', message: problem.what, where: problem.where, next: problem.next });
    }
    this.#problems = next;
    this.#options.onProblems();
  }
}

/** What has settings of the mesh is not left out. */
function withoutSettings(skipped: Readonly<Record<string, number>>, others: readonly KubernetesDocument[]): Record<string, number> {
  const left = { ...skipped };
  for (const { kind } of others.filter((document) => meshConfigIn(document) !== undefined || meshNetworksIn(document) !== undefined)) {
    left[kind] = (left[kind] ?? 1) - 1;
    if (left[kind] === 0) delete left[kind];
  }
  return left;
}

function problemOf(fault: FileFault): Omit<Problem, 'sinceMs'> {
  return { what: fault.what, where: fault.path, next: fault.next };
}

function whereOf(resource: Resource): string {
  return `${resource.origin?.file}:${resource.origin?.line}`;
}
