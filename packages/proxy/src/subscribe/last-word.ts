/**
 * Which response spoke last of each resource. Responses of one type are taken while those before them still wait (for secrets, clusters): what was said
 * earlier may not come into effect after what was said later, nor after it was said that there is none.
 */
export class LastWord {
  readonly #turns = new Map<string, number>();
  #turn = 0;

  /** Of a response, as it is looked at; in the order in which they came. */
  next(): number {
    this.#turn += 1;
    return this.#turn;
  }

  say(turn: number, name: string): void {
    this.#turns.set(name, turn);
  }

  /** Something was said of it that is not in effect yet. */
  waits(name: string): boolean {
    return this.#turns.has(name);
  }

  /** No later response has spoken of it. */
  holds(turn: number, name: string): boolean {
    return this.#turns.get(name) === turn;
  }

  /** In effect: nothing earlier holds any more, and nothing is kept for it. */
  done(turn: number, name: string): void {
    if (this.holds(turn, name)) this.#turns.delete(name);
  }
}
