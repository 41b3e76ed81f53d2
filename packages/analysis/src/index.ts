export { type AnalyzeOptions, analyze, type Mesh, messagesOf } from './analyze.ts';
export { type AnalysisInput, readAnalysisInput } from './input.ts';
export type { Level, Message } from './message.ts';
export { type EffectContext, effectContext, statusNotes, withoutEffect } from './status.ts';
