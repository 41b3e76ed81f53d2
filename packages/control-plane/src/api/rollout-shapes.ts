/** What one version did in the step that is watched. null: not known, no request yet. */
export interface RolloutArmView {
  requests: number;
  failures: number;
  successRatio: number | null;
  p99Ms: number | null;
}

/** GET /api/v1/rollouts -> RolloutView[]; POST /api/v1/rollouts RolloutRequest -> RolloutView (409 REFUSED, 422 as apply). */
export interface RolloutView {
  namespace: string;
  name: string;
  /** Full name of the service. */
  service: string;
  from: string;
  to: string;
  /** `waiting`: it has not begun, and `verdict` says why. */
  phase: 'waiting' | 'progressing' | 'paused' | 'succeeded' | 'rolled-back' | 'aborted';
  /** Percent. */
  steps: number[];
  /** Index of `steps`; -1: it is only mirrored to. */
  step: number;
  /** Percent of the traffic that goes to the new version now; null: as the resources say by themselves. */
  weight: number | null;
  /** Percent of the requests that are copied to it now. */
  mirror: number;
  /** How long the step has been watched. */
  heldMs: number;
  everyMs: number;
  deadlineMs: number;
  arms: { from: RolloutArmView; to: RolloutArmView };
  checks: { requirement: string; state: 'pass' | 'fail' | 'undecided' | 'not-judged'; text: string }[];
  /** One sentence. */
  verdict: string;
  /** The routes whose traffic is shifted. */
  routes: string[];
  startedAtMs: number;
  history: { atMs: number; text: string }[];
}

export interface RolloutRequest {
  namespace: string;
  name: string;
  /** Of a Rollout. */
  spec: Record<string, unknown>;
}

/** POST /api/v1/rollouts/NAMESPACE/NAME/ACTION -> RolloutView; 409 REFUSED. */
export type RolloutActionName = 'pause' | 'resume' | 'promote' | 'abort';
