import type { Context } from './context.ts';

/** Finds one sort of mistake. Must stand resources whose required fields are missing: refused ones are analysed too. */
export interface Analyzer {
  /** Istio's name of it, under which its cases are kept. */
  readonly name: string;
  /** Every code that it may report. */
  readonly codes: readonly string[];
  run(context: Context): void;
}
