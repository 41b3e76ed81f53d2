import { Turn } from '../../net/turn-writer.ts';

/** A turn that ends when a test says so. */
export class ManualTurn {
  readonly turn: Turn;
  #due: (() => void)[] = [];

  constructor() {
    this.turn = new Turn((run) => this.#due.push(run));
  }

  /** Until nothing more is due: a writer may look once more at a transport that is not empty. */
  end(): void {
    while (this.#due.length > 0) this.#due.shift()!();
  }
}
