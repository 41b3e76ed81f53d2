import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, promises, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Any } from '@bufbuild/protobuf/wkt';
import { atOnce, Slices, type Steps } from '../slices/slices.ts';
import { type CachedResource, decodeResources, encodeSteps } from './encoding.ts';

/** File: 8 bytes magic, 8 bytes time of the last contact (Unix ms, big endian), 32 bytes SHA-256 of the rest, the rest. */
const MAGIC = Buffer.from('OUTRXDS1', 'latin1');
const CONTACT_OFFSET = MAGIC.length;
const DIGEST_OFFSET = CONTACT_OFFSET + 8;
const DIGEST_BYTES = 32;
const CONTENT_OFFSET = DIGEST_OFFSET + DIGEST_BYTES;
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Of a file that is written in the background; each write is one call of the system. */
const PARTS_AT_ONCE = 64;
/** What an earlier process left and nobody has asked for is dropped after so long with the control plane there. */
const INHERITED_LIFE_MS = 3_600_000;

export interface LastGoodCacheOptions {
  /** Changes within this time are written together. Default 500. */
  readonly debounceMs?: number;
  /** The time of the last contact is brought to disk at most this often. Default 30,000. */
  readonly contactIntervalMs?: number;
  /** Bytes of all resources; what goes beyond is not kept. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Told of a damaged file or a failed write; the cache goes on in memory. */
  readonly onWarning?: (message: string) => void;
}

/**
 * What a client last took from its control plane, in memory and on disk, so that a restart with the control plane away
 * has something to serve. A crash leaves the old file or the new one; a file that is damaged counts as none.
 */
export class LastGoodCache {
  readonly #path: string;
  readonly #debounceMs: number;
  readonly #contactIntervalMs: number;
  readonly #maxBytes: number;
  readonly #warn: (message: string) => void;
  readonly #types = new Map<string, Map<string, CachedResource>>();
  /** Read from the disk and not used since, per type. */
  readonly #inherited = new Map<string, Set<string>>();
  readonly #openedAtMs = Date.now();
  #bytes = 0;
  #lastContactMs: number | undefined;
  #writtenContactMs = 0;
  #dirty = false;
  /** Counts the writes, so that one in the background does not come after a later one. */
  #writes = 0;
  #inBackground = false;
  readonly #slices = new Slices();
  #full = false;
  #timer: NodeJS.Timeout | undefined;

  /** Reads what is there; makes the folder. Never throws for a file that is missing or damaged. */
  static open(path: string, options: LastGoodCacheOptions = {}): LastGoodCache {
    const cache = new LastGoodCache(path, options);
    cache.#load();
    return cache;
  }

  /** Keeps what a client has taken for whoever wants to see it, and nothing over a restart. */
  static inMemory(): LastGoodCache {
    return new LastGoodCache('', {});
  }

  private constructor(path: string, options: LastGoodCacheOptions) {
    this.#path = path;
    this.#debounceMs = options.debounceMs ?? 500;
    this.#contactIntervalMs = options.contactIntervalMs ?? 30_000;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
    this.#warn = options.onWarning ?? (() => {});
  }

  /** When the control plane was last heard of (Unix ms), in this process or an earlier one; undefined: never. */
  get lastContactMs(): number | undefined {
    return this.#lastContactMs;
  }

  get(typeUrl: string, name: string): CachedResource | undefined {
    this.#inherited.get(typeUrl)?.delete(name);
    return this.#types.get(typeUrl)?.get(name);
  }

  entries(typeUrl: string): Iterable<CachedResource> {
    return this.#types.get(typeUrl)?.values() ?? [];
  }

  put(typeUrl: string, name: string, version: string, body: Any, aliases: readonly string[]): void {
    let resources = this.#types.get(typeUrl);
    if (resources === undefined) {
      resources = new Map();
      this.#types.set(typeUrl, resources);
    }
    const before = resources.get(name);
    this.#inherited.get(typeUrl)?.delete(name);
    if (before?.version === version) return;
    const grows = body.value.length - (before?.value.length ?? 0);
    if (this.#bytes + grows > this.#maxBytes) this.#dropInherited();
    if (this.#bytes + grows > this.#maxBytes) {
      if (!this.#full) this.#warn(`the cache ${this.#path} is full (${this.#maxBytes} bytes): newer resources are not kept over a restart`);
      this.#full = true;
      this.remove(typeUrl, name);
      return;
    }
    this.#bytes += grows;
    // A copy: the bytes are a window on the whole response, which would stay in memory with it.
    resources.set(name, { name, version, value: body.value.slice(), aliases });
    this.#changed();
  }

  remove(typeUrl: string, name: string): void {
    const resources = this.#types.get(typeUrl);
    const before = resources?.get(name);
    if (before === undefined) return;
    this.#bytes -= before.value.length;
    resources!.delete(name);
    this.#changed();
  }

  /** Notes that the control plane was heard of. */
  contact(nowMs: number): void {
    this.#lastContactMs = nowMs;
    if (nowMs - this.#openedAtMs > INHERITED_LIFE_MS) this.#dropInherited();
    if (this.#path === '' || nowMs - this.#writtenContactMs < this.#contactIntervalMs || this.#dirty) return;
    this.#writtenContactMs = nowMs;
    try {
      const file = openSync(this.#path, 'r+');
      try {
        // In place and outside the checksum: eight bytes in one sector, of which nothing but the age depends.
        writeSync(file, contactBytes(nowMs), 0, 8, CONTACT_OFFSET);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#warn(`cannot write the time of contact to ${this.#path}: ${(error as Error).message}`);
    }
  }

  /** Writes what is not written yet, before it returns. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#dirty && !this.#inBackground) return;
    this.#dirty = false;
    this.#writes += 1;
    const { parts, digest } = atOnce(this.#encode());
    // Of this process: during a hot restart two have the cache.
    const temporary = `${this.#path}.${process.pid}.new`;
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      const file = openSync(temporary, 'w', 0o600);
      try {
        writeAll(file, Buffer.concat([this.#head(digest), ...parts]));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, this.#path);
      syncFolder(dirname(this.#path));
      this.#writtenContactMs = this.#lastContactMs ?? 0;
    } catch (error) {
      this.#notWritten(error as Error);
    }
  }

  /** The same without holding the event loop, for neither the encoding nor the disk. */
  async #write(): Promise<void> {
    this.#dirty = false;
    this.#inBackground = true;
    this.#writes += 1;
    const writes = this.#writes;
    const temporary = `${this.#path}.${process.pid}.next`;
    try {
      const { parts, digest } = await this.#slices.run(this.#encode());
      if (writes !== this.#writes) return;
      await promises.mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      const file = await promises.open(temporary, 'w', 0o600);
      try {
        await file.writev([this.#head(digest)]);
        for (let part = 0; part < parts.length; part += PARTS_AT_ONCE) await file.writeFile(Buffer.concat(parts.slice(part, part + PARTS_AT_ONCE)));
        await file.sync();
      } finally {
        await file.close();
      }
      // A later one was written before this was done.
      if (writes !== this.#writes) rmSync(temporary, { force: true });
      else {
        renameSync(temporary, this.#path);
        this.#writtenContactMs = this.#lastContactMs ?? 0;
        await syncFolderInBackground(dirname(this.#path));
      }
    } catch (error) {
      if (writes === this.#writes) this.#notWritten(error as Error);
    } finally {
      this.#inBackground = false;
      if (this.#dirty) this.#changed();
    }
  }

  *#encode(): Steps<{ readonly parts: readonly Uint8Array[]; readonly digest: Buffer }> {
    // As they are now: others come and go while this one waits for its next step.
    const types = new Map(Array.from(this.#types, ([typeUrl, resources]) => [typeUrl, [...resources.values()]]));
    const parts = yield* encodeSteps(types);
    const hash = createHash('sha256');
    for (const part of parts) {
      hash.update(part);
      yield;
    }
    return { parts, digest: hash.digest() };
  }

  #head(digest: Buffer): Buffer {
    return Buffer.concat([MAGIC, contactBytes(this.#lastContactMs ?? 0), digest]);
  }

  #notWritten(error: Error): void {
    this.#warn(`cannot write ${this.#path}: ${error.message}; after a restart with the control plane away an older configuration would be served`);
  }

  close(): void {
    this.flush();
  }

  #dropInherited(): void {
    for (const [typeUrl, names] of this.#inherited) for (const name of names) this.remove(typeUrl, name);
    this.#inherited.clear();
  }

  #changed(): void {
    if (this.#path === '') return;
    this.#dirty = true;
    if (this.#inBackground) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#write();
    }, this.#debounceMs).unref();
  }

  #load(): void {
    try {
      const { size } = statSync(this.#path);
      if (size > MAX_FILE_BYTES) throw new Error(`it is ${size} bytes long`);
      const file = readFileSync(this.#path);
      if (file.length < CONTENT_OFFSET || !file.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it is no such file');
      const content = file.subarray(CONTENT_OFFSET);
      const digest = createHash('sha256').update(content).digest();
      if (!digest.equals(file.subarray(DIGEST_OFFSET, CONTENT_OFFSET))) throw new Error('its checksum is wrong');
      for (const [typeUrl, resources] of decodeResources(content)) {
        this.#types.set(typeUrl, resources);
        this.#inherited.set(typeUrl, new Set(resources.keys()));
      }
      for (const resources of this.#types.values()) for (const resource of resources.values()) this.#bytes += resource.value.length;
      const contactMs = Number(file.readBigUInt64BE(CONTACT_OFFSET));
      if (contactMs > 0 && contactMs <= Date.now()) this.#lastContactMs = contactMs;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#types.clear();
      this.#inherited.clear();
      this.#bytes = 0;
      this.#warn(`the cache ${this.#path} is not used: ${(error as Error).message}`);
    }
  }
}

function contactBytes(timeMs: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.trunc(timeMs))));
  return bytes;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
}

/** The rename itself must be on disk too. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

async function syncFolderInBackground(path: string): Promise<void> {
  const folder = await promises.open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
