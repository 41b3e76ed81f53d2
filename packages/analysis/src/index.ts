export { type AnalyzeOptions, analyze, analyzing, type Mesh, messagesOf } from './analyze.ts';
export { type ApiGatewayNeed, apiGatewayNeeds } from './api-gateway-needs.ts';
export { diffText, fixedFiles } from './fix.ts';
export { type AnalysisInput, analyzeInput, readAnalysisInput } from './input.ts';
export type { Fix, Level, Message } from './message.ts';
export { type EffectContext, effectContext, statusNotes, withoutEffect } from './status.ts';
export { type Suppression, suppressionOf, withoutSuppressed } from './suppress.ts';
