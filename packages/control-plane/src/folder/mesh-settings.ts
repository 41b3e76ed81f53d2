import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  type FoundSettings,
  field,
  type JsonObject,
  meshConfigProblems,
  meshConfigWithoutEffect,
  meshNetworksProblems,
  parseSettings,
  type Problem as ReadProblem,
  type SettingsDocument,
  text,
} from '@outrigger/resources';
import { type MeshSettings, networksOf, settingsOf } from '@outrigger/translate';
import type { Problem, SettingNote } from '../api/shapes.ts';
import { every } from '../clock.ts';
import { type Clock, type LogEntry, StartError } from '../options.ts';
import type { Records } from '../store/records.ts';
import { MAX_FILE_BYTES } from './scan.ts';

/** How soon a change of the file is seen. */
const LOOK_MS = 1_000;

/** One of the two documents that Istio has of a mesh as a whole. */
export interface SettingsKind {
  readonly name: string;
  readonly option: string;
  readonly problems: (document: SettingsDocument) => readonly ReadProblem[];
  readonly settings: (document: SettingsDocument) => Partial<MeshSettings>;
  readonly withoutEffect: (document: SettingsDocument) => ReturnType<typeof meshConfigWithoutEffect>;
}

export const meshConfigKind: SettingsKind = {
  name: 'MeshConfig',
  option: '--mesh-config',
  problems: meshConfigProblems,
  settings: ({ value }) => settingsOf(value),
  withoutEffect: meshConfigWithoutEffect,
};

export const meshNetworksKind: SettingsKind = {
  name: 'MeshNetworks',
  option: '--mesh-networks',
  problems: meshNetworksProblems,
  settings: ({ value }) => ({ networks: networksOf(value) }),
  withoutEffect: () => [],
};

export interface SettingsSourceOptions {
  readonly kind: SettingsKind;
  /** What the option names; undefined: what the watched folder has is in effect. */
  readonly path: string | undefined;
  readonly clock: Clock;
  readonly log: (entry: LogEntry) => void;
  readonly onSettings: () => void;
  readonly onProblems: () => void;
}

/** Read when the control plane starts, and not again. */
export type StartSettings = Pick<MeshSettings, 'trustDomain' | 'rootNamespace'>;

/** What was in force from the watched folder, for a start at which that has nothing good. */
export interface KeptSettings {
  readonly file: string;
  readonly line: number;
  readonly value: JsonObject;
}

type Fault = Omit<Problem, 'sinceMs'>;

/** The mesh's settings as people write them: of one file, or where they lie in the watched folder. What is bad changes nothing. */
export class SettingsSource {
  readonly #options: SettingsSourceOptions;
  readonly #path: string | undefined;
  #started: StartSettings | undefined;
  #stamp = '';
  #taken: SettingsDocument | undefined;
  #problems: readonly Problem[] = [];
  /** undefined: not looked at yet. */
  #folder: readonly FoundSettings[] | undefined;
  #kept: Records<KeptSettings> | undefined;
  #stopLooking = () => {};

  /** Reads the file a first time. Throws a `StartError` where that is bad. */
  constructor(options: SettingsSourceOptions) {
    this.#options = options;
    this.#path = options.path === undefined ? undefined : resolve(options.path);
    if (this.#path === undefined) return;
    const read = this.#read();
    const [fault] = 'settings' in read ? this.#errorsOf(read) : [read];
    if (fault !== undefined) throw new StartError('BAD_OPTION', fault.what, fault.where, fault.next);
    if ('settings' in read) this.#taken = read.settings;
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** As it is written, what is in force. */
  get document(): SettingsDocument | undefined {
    return this.#taken;
  }

  /** What of it is in force, and does nothing. */
  get notes(): SettingNote[] {
    const { name: kind, withoutEffect } = this.#options.kind;
    const settings = this.#taken;
    return settings === undefined
      ? []
      : withoutEffect(settings).map(({ name, line, why }) => ({ what: `${name} of ${kind} has no effect: ${why}`, where: `${settings.file}:${line}` }));
  }

  /** What of the file is for the start alone. */
  get atStart(): Partial<StartSettings> {
    const { trustDomain, rootNamespace } = this.settings;
    return { ...(trustDomain === undefined ? {} : { trustDomain }), ...(rootNamespace === undefined ? {} : { rootNamespace }) };
  }

  get settings(): Partial<MeshSettings> {
    return this.#taken === undefined ? {} : this.#options.kind.settings(this.#taken);
  }

  /** `started`: with which the control plane has begun. `kept`, with a watched folder: across starts, by the kind's name. */
  start(started: StartSettings, kept?: Records<KeptSettings>): void {
    this.#started = started;
    this.#tell([]);
    if (this.#path !== undefined) this.#stopLooking = every(this.#options.clock, LOOK_MS, () => this.#look());
    else this.#restore(kept);
  }

  stop(): void {
    this.#stopLooking();
  }

  /** What the watched folder has now. */
  folderHas(found: readonly FoundSettings[]): void {
    const before = this.#folder;
    if (before !== undefined && found.length === before.length && found.every((one, index) => one === before[index])) return;
    this.#folder = found;
    if (this.#path !== undefined) {
      this.#report([...this.#standing(), ...this.#unheeded(found, `the settings are those of ${this.#options.kind.option}`)]);
      return;
    }
    const [first, ...others] = found;
    this.#takeGood(first, this.#unheeded(others, `the settings are those of ${first?.settings.file}`));
  }

  /** What a file of the folder gave before it became unreadable. */
  inForceFrom(file: string): readonly FoundSettings[] {
    return this.#taken?.file === file ? [{ settings: this.#taken, problems: [] }] : [];
  }

  #restore(kept: Records<KeptSettings> | undefined): void {
    this.#kept = kept;
    const last = kept?.get(this.#options.kind.name);
    if (last === undefined) return;
    const settings: SettingsDocument = { file: last.file, value: last.value, lineOf: () => last.line };
    // Another version may have taken what this one refuses.
    if (this.#errorsOf({ settings, problems: [] }).length === 0) this.#taken = settings;
  }

  #keep(settings: SettingsDocument | undefined): void {
    const { name } = this.#options.kind;
    if (settings === undefined) this.#kept?.delete(name);
    else this.#kept?.put(name, { file: settings.file, line: settings.lineOf(''), value: settings.value });
  }

  #look(): void {
    const stamp = stampOf(this.#path!);
    if (stamp === this.#stamp) return;
    const read = this.#read();
    const unheeded = this.#unheeded(this.#folder ?? [], `the settings are those of ${this.#options.kind.option}`);
    if ('settings' in read) this.#takeGood(read, unheeded);
    else this.#report([read, ...unheeded]);
  }

  #read(): FoundSettings | Fault {
    const path = this.#path!;
    try {
      this.#stamp = stampOf(path);
      if (statSync(path).size > MAX_FILE_BYTES)
        return { what: `the mesh's settings have more than ${MAX_FILE_BYTES / 1024 / 1024} MB`, where: path, next: `Give ${this.#options.kind.name} alone.` };
      return parseSettings({ file: path, text: readFileSync(path) });
    } catch (error) {
      return { what: `the mesh's settings cannot be read: ${(error as Error).message}`, where: path, next: 'Bring the file back, or make it readable.' };
    }
  }

  #takeGood(found: FoundSettings | undefined, unheeded: readonly Fault[]): void {
    const errors = found === undefined ? [] : this.#errorsOf(found);
    if (errors.length > 0) {
      this.#report([...errors, ...unheeded]);
      return;
    }
    this.#taken = found?.settings;
    this.#tell(unheeded);
    this.#options.onSettings();
    this.#keep(found?.settings);
  }

  #tell(unheeded: readonly Fault[]): void {
    this.#report([...this.#standing(), ...unheeded]);
    for (const { what, where } of this.notes) this.#options.log({ level: 'info', part: 'config', message: `${where}: ${what}` });
  }

  /** What is to be said as long as the present settings are in force. */
  #standing(): Fault[] {
    const settings = this.#taken;
    if (settings === undefined) return [];
    const unknown = this.#options.kind.problems(settings).map(({ message, file, line, next }): Fault => ({ what: message, where: `${file}:${line}`, next }));
    const late = (['trustDomain', 'rootNamespace'] as const).flatMap((name): Fault[] => {
      const written = text(field(settings.value, name));
      const used = this.#started?.[name];
      if (written === '' || used === undefined || written === used) return [];
      const option = name === 'trustDomain' ? '--trust-domain' : '--root-namespace';
      return [
        {
          what: `${this.#options.kind.name}: ${name} is ${used} as long as this control plane runs, not ${written}`,
          where: `${settings.file}:${settings.lineOf(name)}`,
          next: `Start it with ${option} ${written}, or with this file as --mesh-config.`,
        },
      ];
    });
    return [...unknown, ...late];
  }

  #unheeded(found: readonly FoundSettings[], why: string): Fault[] {
    return found.map(({ settings }) => ({
      what: `${this.#options.kind.name} is not taken: ${why}`,
      where: `${settings.file}:${settings.lineOf('')}`,
      next: 'Keep one of them.',
    }));
  }

  /** Why it is refused, what was in force staying so. */
  #errorsOf({ settings, problems }: FoundSettings): Fault[] {
    return [...problems, ...this.#options.kind.problems(settings)]
      .filter(({ level }) => level === 'Error')
      .map(({ message, file, line, next }) => ({ what: message, where: `${file}:${line}`, next }));
  }

  #report(faults: readonly Fault[]): void {
    const { clock, log, onProblems } = this.#options;
    const since = new Map(this.#problems.map(({ what, where, sinceMs }) => [`${where} ${what}`, sinceMs]));
    const next = faults.map((fault) => ({ ...fault, sinceMs: since.get(`${fault.where} ${fault.what}`) ?? clock.now() }));
    if (JSON.stringify(next) === JSON.stringify(this.#problems)) return;
    for (const { what, where, next: mend } of next)
      if (!since.has(`${where} ${what}`)) log({ level: 'error', part: 'config', message: what, where, next: mend });
    this.#problems = next;
    onProblems();
  }
}

/** '' : it is not there, or not to be looked at. */
function stampOf(path: string): string {
  try {
    const stat = statSync(path);
    return `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
  } catch {
    return '';
  }
}
