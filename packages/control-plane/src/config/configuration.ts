import {
  type Message as AnalysisMessage,
  type AnalyzeOptions,
  analyzing,
  type EffectContext,
  effectContext,
  messagesOf,
  type Mesh as World,
} from '@outrigger/analysis';
import {
  createValidator,
  type KubernetesDocument,
  kinds,
  kindsNamed,
  manifestOf,
  type Problem as ReadProblem,
  type Resource,
  type ResourceRef,
  readResources,
  refKey,
  refOf,
  refText,
  type SettingsDocument,
  type SourceFile,
  type Validator,
} from '@outrigger/resources';
import { Slices } from '@outrigger/xds/slices';
import type { ApplyResult, DeleteTarget, DiffView, Message, RevisionView, UndoResult } from '../api/shapes.ts';
import {
  type Cause,
  groupOf,
  type NewObject,
  type ObjectKey,
  type ResourceStore,
  type Revision,
  type Source,
  type StoredItem,
  type Write,
} from '../store/resource-store.ts';
import { manifestDiff } from './diff.ts';
import { diffView, revisionView } from './history.ts';
import { resourceOf } from './resource-of.ts';
import { undoTo } from './undo.ts';

export type ConfigErrorCode = 'REFUSED' | 'NOT_FOUND' | 'AMBIGUOUS' | 'IN_FOLDER' | 'UNKNOWN_KIND' | 'CHANGED';

/** Why nothing was changed. `messages` are about what was sent. */
export class ConfigError extends Error {
  readonly code: ConfigErrorCode;
  readonly where: string;
  readonly next: string;
  readonly messages: readonly Message[];

  constructor(code: ConfigErrorCode, what: string, where: string, next: string, messages: readonly Message[] = []) {
    super(what);
    this.name = 'ConfigError';
    this.code = code;
    this.where = where;
    this.next = next;
    this.messages = messages;
  }
}

/** What one revision did to the configuration. */
export interface ConfigChange {
  readonly revision: string;
  readonly timeMs: number;
  readonly put: readonly Resource[];
  readonly remove: readonly ResourceRef[];
}

export interface ConfigurationOptions {
  readonly store: ResourceStore;
  readonly rootNamespace: string;
  readonly clusterDomain: string;
  /** Registered services and instances, beside what the resources declare. */
  readonly world: () => World;
  /** Of the mesh, as it is written. */
  readonly meshConfig: () => SettingsDocument | undefined;
  /** Whether a folder is watched now: what it holds is then changed there alone. */
  readonly watchesFolder: boolean;
  readonly onChange: (change: ConfigChange) => void;
}

export interface ApplyOptions {
  readonly dryRun?: boolean;
  readonly namespace?: string;
  /** Refused with a `ConfigError` CHANGED where this is not the present revision: the caller has judged by that. */
  readonly ifRevision?: string;
  readonly by?: string;
}

export interface UndoOptions {
  /** What it is to be again. Default: as it was before the last revision. */
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly by?: string;
}

export interface HistoryOptions {
  /** As `find` takes them. */
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly limit: number;
}

interface InForce {
  readonly resource: Resource;
  readonly item: StoredItem;
}

/** What people have written and what is in force of it. */
export class Configuration {
  readonly #options: ConfigurationOptions;
  readonly #validator: Validator = createValidator();
  readonly #slices = new Slices();
  /** The last analysis of what was in force, and of what it was. */
  #analyzed:
    | { readonly revision: string; readonly world: World; readonly meshConfig: SettingsDocument | undefined; readonly messages: readonly AnalysisMessage[] }
    | undefined;
  readonly #inForce = new Map<string, InForce>();
  #revision = '0';
  #stopWatching = () => {};
  /** One change after the other: an answer describes the state that its own change made. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: ConfigurationOptions) {
    this.#options = options;
  }

  static async open(options: ConfigurationOptions): Promise<Configuration> {
    const configuration = new Configuration(options);
    const { items, resourceVersion } = await options.store.list();
    for (const item of items) configuration.#inForce.set(keyText(item.object), { item, resource: resourceOf(item) });
    configuration.#revision = resourceVersion;
    configuration.#stopWatching = options.store.watch(resourceVersion, (revision) => configuration.#changed(revision));
    return configuration;
  }

  get revision(): string {
    return this.#revision;
  }

  get resources(): readonly Resource[] {
    return [...this.#inForce.values()].map(({ resource }) => resource);
  }

  get items(): readonly StoredItem[] {
    return [...this.#inForce.values()].map(({ item }) => item);
  }

  effectContext(): EffectContext {
    return effectContext(this.resources, this.#options.world(), this.#analyzeOptions());
  }

  close(): void {
    this.#stopWatching();
    this.#slices.close();
  }

  /** Reads, validates and stores: all of it or, with a `ConfigError` REFUSED, nothing. Throws a `StoreError` too. */
  apply(files: readonly SourceFile[], options: ApplyOptions = {}): Promise<ApplyResult> {
    return this.#serially(async () => {
      this.#refuseChanged(options.ifRevision);
      const read = await readResources(files, {
        validator: this.#validator,
        ...(options.namespace === undefined ? {} : { defaultNamespace: options.namespace }),
      });
      const fatal = read.problems.filter(({ level }) => level === 'Error');
      if (fatal.length > 0) throw refusal(read.problems);
      for (const resource of read.resources) this.#refuseFolderOwned(resource);
      const before = await this.#known();
      const results = read.resources.map((resource) => this.#preview(resource));
      let revision = this.#revision;
      if (options.dryRun !== true) {
        const writes = read.resources.map((resource): Write => ({ type: 'put', object: objectOf(resource), source: sourceOf(resource, 'api') }));
        revision = (await this.#options.store.transact(writes, causeOf('apply', options.by))).revision;
      }
      const messages = await this.#messagesAbout(read.resources, before, options.dryRun !== true);
      return {
        applied: results,
        skipped: { ...read.skipped },
        absentServices: this.#absentServices(read.others, options.namespace ?? 'default'),
        messages: [...messagesOf(read.problems), ...messages],
        revision,
      };
    });
  }

  /** Services that were written for Kubernetes, and that no workload or ServiceEntry makes here. */
  #absentServices(others: readonly KubernetesDocument[], namespace: string): string[] {
    const { clusterDomain } = this.#options;
    const present = new Set(this.#options.world().services.map(({ hostname }) => hostname));
    const names = others
      .filter(({ kind, apiVersion }) => kind === 'Service' && apiVersion === 'v1')
      .map(({ name, namespace: own }) => ({ name, namespace: own || namespace }))
      .filter((service) => !present.has(`${service.name}.${service.namespace}.svc.${clusterDomain}`))
      .map((service) => (service.namespace === namespace ? service.name : `${service.namespace}/${service.name}`));
    return [...new Set(names)].sort();
  }

  /** The desired content of the watched folder: what it no longer holds is removed. One write. */
  applyFolder(resources: readonly Resource[], keep: (source: Source) => boolean): Promise<string> {
    return this.#serially(async () => {
      const wanted = new Map(resources.map((resource) => [keyText(resource), resource]));
      const writes: Write[] = [...wanted.values()].map((resource) => ({ type: 'put', object: objectOf(resource), source: sourceOf(resource, 'folder') }));
      for (const [key, { item }] of this.#inForce) {
        if (item.source.manager === 'folder' && !wanted.has(key) && !keep(item.source)) writes.push({ type: 'delete', key: objectKeyOf(item) });
      }
      return (await this.#options.store.transact(writes, causeOf('folder', 'folder'))).revision;
    });
  }

  /** `kind` as `kindsNamed` takes it. */
  delete(kind: string, namespace: string, name: string, by?: string): Promise<string> {
    return this.deleteAll([{ kind, namespace, name }], by);
  }

  /** All of them, as one revision, or none. */
  deleteAll(targets: readonly DeleteTarget[], by?: string): Promise<string> {
    return this.#serially(async () => {
      const items = new Set(targets.map((target) => this.#deletable(target)));
      const writes = [...items].map((item): Write => ({ type: 'delete', key: objectKeyOf(item) }));
      return (await this.#options.store.transact(writes, causeOf('delete', by))).revision;
    });
  }

  /** Newest first. Throws a `ConfigError` UNKNOWN_KIND. */
  async history({ kind, namespace, name, limit }: HistoryOptions): Promise<RevisionView[]> {
    const wanted = kind === undefined ? undefined : groupedKinds(kind);
    const touches = (key: ObjectKey): boolean =>
      (wanted === undefined || wanted.has(`${key.group}/${key.kind}`)) &&
      (namespace === undefined || key.namespace === namespace) &&
      (name === undefined || key.name === name);
    return (await this.#options.store.history({ touches, limit })).map(revisionView);
  }

  /** What leads from one revision to another, default the present one. Throws a `StoreError` NOT_KEPT. */
  async diff(from: string, to = this.#revision): Promise<DiffView> {
    const { store } = this.#options;
    return diffView(from, to, await store.at(from), await store.at(to));
  }

  /** Makes a new revision of a former state. Throws a `ConfigError` REFUSED or IN_FOLDER, a `StoreError` NOT_KEPT; nothing is changed then. */
  undo(options: UndoOptions = {}): Promise<UndoResult> {
    return this.#serially(async () => {
      const to = options.to ?? String(Math.max(0, Number(this.#revision) - 1));
      const { store } = this.#options;
      const undo = await undoTo(to, this.items, await store.at(to), this.#validator);
      if (undo.problems.some(({ level }) => level === 'Error')) throw refusal(undo.problems);
      for (const item of undo.touched) this.#refuseFolderOwned(resourceOf(item), item.source);
      const before = await this.#known();
      let revision = this.#revision;
      if (options.dryRun !== true) revision = (await store.transact(undo.writes, causeOf(`undo to ${to}`, options.by))).revision;
      const messages = options.dryRun === true ? [] : await this.#messagesAbout([], before, true);
      return { to, changes: [...undo.changes], messages: [...messagesOf(undo.problems), ...messages], revision };
    });
  }

  /** Undefined matches all. Throws a `ConfigError` UNKNOWN_KIND. */
  find(kind: string | undefined, namespace: string | undefined, name: string | undefined): StoredItem[] {
    const wanted = kind === undefined ? undefined : groupedKinds(kind);
    return this.items.filter(
      ({ object }) =>
        (wanted === undefined || wanted.has(`${groupOf(object.apiVersion)}/${object.kind}`)) &&
        (namespace === undefined || object.metadata.namespace === namespace) &&
        (name === undefined || object.metadata.name === name),
    );
  }

  inForce(key: string): StoredItem | undefined {
    return this.#inForce.get(key)?.item;
  }

  #changed(revision: Revision): void {
    const put: Resource[] = [];
    const remove: ResourceRef[] = [];
    for (const { type, object, source } of revision.events) {
      const key = keyText(object);
      if (type === 'DELETED') {
        this.#inForce.delete(key);
        remove.push({ group: groupOf(object.apiVersion), kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name });
      } else {
        const item: StoredItem = { object, source };
        const resource = resourceOf(item);
        this.#inForce.set(key, { item, resource });
        put.push(resource);
      }
    }
    this.#revision = revision.revision;
    this.#options.onChange({ revision: revision.revision, timeMs: revision.timeMs, put, remove });
  }

  #serially<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(run);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  #deletable({ kind, namespace, name }: DeleteTarget): StoredItem {
    const found = this.find(kind, namespace, name);
    const where = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
    if (found.length === 0) throw new ConfigError('NOT_FOUND', `${where} is not here`, where, 'rig get lists what is');
    if (found.length > 1) {
      const groups = found.map(({ object }) => `${object.kind}.${groupOf(object.apiVersion)}`).join(' or ');
      throw new ConfigError('AMBIGUOUS', `${where} is the name of ${found.length} resources`, where, `Say ${groups}`);
    }
    this.#refuseFolderOwned(resourceOf(found[0]!));
    return found[0]!;
  }

  #refuseChanged(judged: string | undefined): void {
    if (judged === undefined || judged === this.#revision) return;
    throw new ConfigError(
      'CHANGED',
      `the configuration is at revision ${this.#revision} now, and was judged at ${judged}`,
      `revision ${this.#revision}`,
      'Run the command again: it judges by what is in force now',
    );
  }

  #refuseFolderOwned(resource: Resource, owned = this.#inForce.get(keyText(resource))?.item.source): void {
    if (owned?.manager !== 'folder' || !this.#options.watchesFolder) return;
    const where = `${owned.file}:${owned.line}`;
    throw new ConfigError(
      'IN_FOLDER',
      `${refText(refOf(resource))} is kept in the watched folder, in ${where}`,
      where,
      'Change it in that file, or take it out of there first',
    );
  }

  #preview(resource: Resource): ApplyResult['applied'][number] {
    const { group, kind, namespace, name } = refOf(resource);
    const present = this.#inForce.get(keyText(resource))?.item.object;
    const diff = manifestDiff(present, objectOf(resource));
    const change = present === undefined ? 'created' : diff === '' ? 'unchanged' : 'configured';
    return { group, kind, namespace, name, change, ...(change === 'unchanged' ? {} : { diff }) };
  }

  #analyzeOptions(): AnalyzeOptions {
    const { rootNamespace, clusterDomain, meshConfig } = this.#options;
    const written = meshConfig();
    return { rootNamespace, clusterDomain, ...(written === undefined ? {} : { meshConfig: written }) };
  }

  /** Costs what the mesh has, so it leaves the loop to what is pushed meanwhile. `revision`: which one the resources are; undefined: none that is in force. */
  async #analyze(resources: readonly Resource[], revision: string | undefined): Promise<readonly AnalysisMessage[]> {
    const world = this.#options.world();
    const options = this.#analyzeOptions();
    const messages = await this.#slices.run(analyzing(resources, world, options));
    if (revision !== undefined) this.#analyzed = { revision, world, meshConfig: options.meshConfig, messages };
    return messages;
  }

  /** Of what is in force. */
  async #known(): Promise<readonly AnalysisMessage[]> {
    const known = this.#analyzed;
    return known !== undefined &&
      known.revision === this.#revision &&
      known.meshConfig === this.#options.meshConfig() &&
      isSameWorld(known.world, this.#options.world())
      ? known.messages
      : await this.#analyze(this.resources, this.#revision);
  }

  /** About what was applied, and what the application broke elsewhere. Nothing was refused, so nothing is an error. */
  async #messagesAbout(applied: readonly Resource[], before: readonly AnalysisMessage[], inForce: boolean): Promise<Message[]> {
    const about = new Set(applied.map((resource) => refKey(refOf(resource))));
    const known = new Set(before.map(messageKey));
    // As they were read, not as they are stored: those know their lines.
    const after = new Map([...this.resources, ...applied].map((resource) => [keyText(resource), resource]));
    return (await this.#analyze([...after.values()], inForce ? this.#revision : undefined))
      .filter((message) => about.has(refKey(message.resource)) || !known.has(messageKey(message)))
      .map((message) => ({ ...message, level: message.level === 'Error' ? 'Warning' : message.level }));
  }
}

function causeOf(how: string, by = ''): Cause {
  return { by, how };
}

/** What has not changed is the same object in both. */
function isSameWorld(one: World, other: World): boolean {
  return isSameList(one.services, other.services) && isSameList(one.instances, other.instances);
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function messageKey(message: AnalysisMessage): string {
  return `${message.code} ${refKey(message.resource)} ${message.message}`;
}

function refusal(problems: readonly ReadProblem[]): ConfigError {
  const messages = messagesOf(problems);
  const errors = problems.filter(({ level }) => level === 'Error');
  const first = errors[0]!;
  return new ConfigError(
    'REFUSED',
    errors.length === 1 ? first.message : `${first.message} (and ${errors.length - 1} more)`,
    `${first.file}:${first.line}`,
    first.next,
    messages.map((message) => ({ ...message })),
  );
}

/** "group/Kind" of every kind that goes by this name. */
function groupedKinds(text: string): ReadonlySet<string> {
  const found = kindsNamed(text);
  if (found.length === 0)
    throw new ConfigError(
      'UNKNOWN_KIND',
      `there is no kind "${text}"`,
      text,
      `Kinds in effect are ${[...new Set(kinds.filter(({ inEffect }) => inEffect).map(({ kind }) => kind))].join(', ')}`,
    );
  return new Set(found.map((kind) => `${kind.group}/${kind.kind}`));
}

/** "group/Kind/namespace/name" */
export function keyText(object: {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly namespace: string; readonly name: string };
}): string {
  return `${groupOf(object.apiVersion)}/${object.kind}/${object.metadata.namespace}/${object.metadata.name}`;
}

function objectKeyOf({ object }: StoredItem): ObjectKey {
  return { group: groupOf(object.apiVersion), kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

function objectOf(resource: Resource): NewObject {
  return manifestOf(resource) as unknown as NewObject;
}

function sourceOf(resource: Resource, manager: Source['manager']): Source {
  return { manager, file: resource.origin?.file ?? '', line: resource.origin?.line ?? 0 };
}
