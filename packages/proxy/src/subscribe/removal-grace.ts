/** What the server has removed is kept so long where routes in effect name it, ms. */
export const ROUTES_GRACE_MS = 1_000;

/** Make before break: a server may send the removal of a cluster or its endpoints just before the routes that no longer name it. */
export class RemovalGrace {
  readonly #timers = new Map<string, NodeJS.Timeout>();

  later(name: string, remove: () => void): void {
    this.keep(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      remove();
    }, ROUTES_GRACE_MS);
    this.#timers.set(name, timer.unref());
  }

  /** It has come back, or goes at once. */
  keep(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
