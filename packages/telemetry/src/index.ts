export type { Operator } from './command-operators.ts';
export { findOperator, headerText } from './command-operators.ts';
export type { FormatPart, FormatResult } from './format.ts';
export { compileFormat, Format } from './format.ts';
export type { Random } from './random.ts';
export { FastRandom } from './random.ts';
export type { ResponseFlagName } from './response-flags.ts';
export { formatResponseFlags, formatResponseFlagsLong, RESPONSE_FLAG_LONG, RESPONSE_FLAG_SHORT, ResponseFlag } from './response-flags.ts';
export type { StreamInfo } from './stream-info.ts';
