import type { Context } from './context.ts';

/** Finds one sort of mistake. Must stand resources whose required fields are missing: refused ones are analysed too. */
export interface Analyzer {
  /** Istio's name of it, under which its cases are kept. */
  readonly name: string;
  /** Every code that it may report. */
  readonly codes: readonly string[];
  /** Whether it judges what is kept in files, by Kubernetes objects that a running mesh does not know. */
  readonly ofFiles?: true;
  /** Whether it speaks of what most people have on purpose, so that it is left out unless asked for. */
  readonly noisy?: true;
  /** Whether what it says of a resource is said once, at the first place, however many places it holds for. */
  readonly once?: true;
  run(context: Context): void;
}
