import { type FSWatcher, readFileSync, unwatchFile, watch, watchFile } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Editors write a file in several steps. */
const settleMs = 50;
/** Whatever the system's notifications miss (network disks, links) is found by then. */
const lookMs = 2_000;

/** Tells when the content of a file is another. */
export class FileWatch {
  readonly #path: string;
  readonly #onChange: () => void;
  readonly #look = () => this.#changed();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #content: string;

  constructor(path: string, onChange: () => void) {
    this.#path = path;
    this.#onChange = onChange;
    this.#content = contentOf(path);
    watchFile(path, { interval: lookMs, persistent: false }, this.#look);
    try {
      // Its folder: most editors put a new file in its place.
      this.#watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
        if (name === null || name === basename(path)) this.#changed();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Then it is looked at every two seconds.
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    unwatchFile(this.#path, this.#look);
    this.#watcher?.close();
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const content = contentOf(this.#path);
      if (content === this.#content) return;
      this.#content = content;
      this.#onChange();
    }, settleMs);
  }
}

/** '' where it cannot be read. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
