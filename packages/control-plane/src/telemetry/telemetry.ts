import type { GraphView, TopRow } from '../api/shapes.ts';

/** What the telemetry role answers. */
export interface TelemetryAnswers {
  top(windowMs: number): TopRow[];
  graph(windowMs: number): GraphView;
}
