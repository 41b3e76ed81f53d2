import type { ClientConnectionEvents } from '../message.ts';

/** What a client's codec tells its pool. */
export class ClientLog implements ClientConnectionEvents {
  capacities = 0;
  draining = false;
  /** Detail of the close; undefined while open. */
  closed: string | undefined = undefined;
  /** Called as the pool is, with a place for the next request. */
  onFree: () => void = () => {};

  onCapacity(): void {
    this.capacities++;
    this.onFree();
  }

  onDraining(): void {
    this.draining = true;
  }

  onClose(detail: string): void {
    if (this.closed !== undefined) throw new Error('onClose twice');
    this.closed = detail;
  }
}
