/**
 * How often a peer may do what costs us more than it: a burst, given back by time and by useful work. Without a timer:
 * the time is looked at when the burst is used up.
 */
export class Budget {
  private left: number;
  private readonly burst: number;
  private readonly perSecond: number;
  private readonly nowMs: () => number;
  private lastMs: number;

  constructor(burst: number, perSecond: number, nowMs: () => number) {
    this.left = burst;
    this.burst = burst;
    this.perSecond = perSecond;
    this.nowMs = nowMs;
    this.lastMs = nowMs();
  }

  /** False: the peer has had its share. */
  take(): boolean {
    if (this.left >= 1) {
      this.left--;
      return true;
    }
    const now = this.nowMs();
    this.left = Math.min(this.burst, this.left + ((now - this.lastMs) * this.perSecond) / 1000);
    this.lastMs = now;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }

  give(amount: number): void {
    this.left = Math.min(this.burst, this.left + amount);
  }
}
