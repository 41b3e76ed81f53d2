import { RequestCount } from './success-rate.ts';

/** 'open': ejected. 'half-open': the ejection time is over and one trial request decides. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** What outlier detection remembers of one endpoint. Written by OutlierDetector alone. */
export class OutlierState {
  state: BreakerState = 'closed';
  consecutive5xx = 0;
  consecutiveGatewayFailure = 0;
  consecutiveLocalOriginFailure = 0;
  /** When the ejection ends, ms of the detector's clock. */
  ejectedUntilMs = 0;
  /** Envoy's ejection multiplier: grows with each ejection, shrinks with each quiet interval. */
  multiplier = 0;
  /** Ejections so far. */
  ejections = 0;
  /** Answers of this interval, where they are counted; with failures of this side where those are not apart. */
  readonly answers = new RequestCount();
  /** What this side saw of them itself, where that is counted apart. */
  readonly localOrigin = new RequestCount();
  /** Half-open and its trial request is under way: nobody else is let in. */
  trialInFlight = false;

  /** The next attempt is the trial. */
  get admitsTrial(): boolean {
    return this.state === 'half-open' && !this.trialInFlight;
  }
}
