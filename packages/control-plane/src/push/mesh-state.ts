import { type Resource, type ResourceRef, refKey, refOf } from '@outrigger/resources';
import { buildMesh, changeMesh, type DataPlane, type Key, type Mesh, type MeshChange, type MeshSettings } from '@outrigger/translate';

/** An object that made translation throw; what is in force in its place is its last good version, or nothing. */
export interface Quarantined {
  readonly ref: ResourceRef;
  /** The bad version. */
  readonly resourceVersion: string;
  readonly reason: string;
  readonly sinceMs: number;
  readonly inForce: 'last-good' | 'nothing' | 'held';
}

/** What one push starts from. */
export interface Taken {
  readonly mesh: Mesh;
  readonly touched: ReadonlySet<Key>;
  /** Of the configuration that the mesh now has. */
  readonly revision: string;
  /** When the oldest change of it was made; undefined where there was none. */
  readonly changedAtMs: number | undefined;
}

/** Without these a workload is open to more than its owner said: where no good version is known, nothing new is sent instead. */
const HELD_KINDS: ReadonlySet<string> = new Set(['AuthorizationPolicy', 'PeerAuthentication']);

/** The mesh as clients see it (`current`) and as it will be with the next push. */
export class MeshState {
  #current: Mesh;
  #next: Mesh;
  #touched = new Set<Key>();
  #revision = '0';
  #nextRevision = '0';
  #changedAtMs: number | undefined;
  /** The version before the last change, of objects whose new version has not been proven by a translation. */
  readonly #lastGood = new Map<string, Resource | undefined>();
  readonly #quarantined = new Map<string, Quarantined>();
  readonly #onChange: () => void;

  constructor(settings: Partial<MeshSettings>, types: Mesh['types'], onChange: () => void) {
    this.#current = buildMesh({ config: [], services: [], instances: [], settings, types });
    this.#next = this.#current;
    this.#onChange = onChange;
  }

  get current(): Mesh {
    return this.#current;
  }

  /** The revision of the configuration that `current` has. */
  get revision(): string {
    return this.#revision;
  }

  get quarantined(): ReadonlyMap<string, Quarantined> {
    return this.#quarantined;
  }

  /** `revision` where the configuration changed. */
  change(change: MeshChange, nowMs: number, revision?: string): void {
    for (const resource of change.put ?? []) {
      const name = refKey(refOf(resource));
      if (!this.#quarantined.delete(name) && !this.#lastGood.has(name)) this.#lastGood.set(name, this.#next.resources.get(name));
    }
    for (const ref of change.remove ?? []) {
      this.#quarantined.delete(refKey(ref));
      this.#lastGood.delete(refKey(ref));
    }
    const { mesh, touched } = changeMesh(this.#next, change);
    this.#next = mesh;
    for (const key of touched) this.#touched.add(key);
    if (revision !== undefined) this.#nextRevision = revision;
    if (touched.size === 0 && revision === undefined) return;
    this.#changedAtMs ??= nowMs;
    this.#onChange();
  }

  /**
   * A proxy refused what these EnvoyFilters had a part in: its kind is spared the one that changed last, which is likely the fault. Where another is,
   * that is refused next.
   */
  refused(filters: readonly ResourceRef[], dataPlane: DataPlane, message: string, nowMs: number): void {
    const known = filters.flatMap((ref) => this.#next.resources.get(refKey(ref)) ?? []);
    const [latest] = known.sort((a, b) => Number(b.metadata.resourceVersion) - Number(a.metadata.resourceVersion));
    if (latest !== undefined) this.change({ refusals: [{ ref: refOf(latest), dataPlane, message }] }, nowMs);
  }

  take(): Taken {
    const touched = this.#touched;
    this.#current = this.#next;
    this.#revision = this.#nextRevision;
    this.#touched = new Set();
    const changedAtMs = this.#changedAtMs;
    this.#changedAtMs = undefined;
    return { mesh: this.#current, touched, revision: this.#revision, changedAtMs };
  }

  /** Everything of `current` that has been asked for was translated without a fault. */
  proven(): void {
    if (this.#next === this.#current) this.#lastGood.clear();
  }

  /**
   * Finds the one object without which `attempt` does not throw, and takes it back to its last good version. Gives the mesh with which to go on;
   * undefined where no single object is at fault, or where it must be held back.
   */
  quarantine(fault: unknown, nowMs: number, attempt: (mesh: Mesh) => void): Mesh | undefined {
    for (const [name, candidate] of this.#candidates()) {
      const good = this.#lastGood.get(name);
      const change: MeshChange = good === undefined ? { remove: [refOf(candidate)] } : { put: [good] };
      const { mesh } = changeMesh(this.#current, change);
      try {
        attempt(mesh);
      } catch {
        continue;
      }
      const ref = refOf(candidate);
      const held = good === undefined && HELD_KINDS.has(candidate.kind);
      const reason = fault instanceof Error ? fault.message : String(fault);
      const inForce = held ? 'held' : good === undefined ? 'nothing' : 'last-good';
      this.#quarantined.set(name, { ref, resourceVersion: candidate.metadata.resourceVersion, reason, sinceMs: nowMs, inForce });
      if (held) return undefined;
      this.#lastGood.delete(name);
      this.#current = mesh;
      // The next mesh may already have a newer version of it, which then is tried on its own.
      if (this.#next.resources.get(name) === candidate) {
        const next = changeMesh(this.#next, change);
        this.#next = next.mesh;
        for (const key of next.touched) this.#touched.add(key);
      }
      this.#onChange();
      return mesh;
    }
    return undefined;
  }

  /** The most likely first: what changed since the last proven mesh. */
  *#candidates(): IterableIterator<[string, Resource]> {
    const tried = new Set<string>();
    for (const name of this.#lastGood.keys()) {
      const resource = this.#current.resources.get(name);
      tried.add(name);
      if (resource !== undefined) yield [name, resource];
    }
    for (const resource of this.#current.resources.values()) {
      const name = refKey(refOf(resource));
      if (!tried.has(name)) yield [name, resource];
    }
  }
}
