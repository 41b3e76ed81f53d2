export type { Random } from './random.ts';
export { FastRandom } from './random.ts';
export { ResponseFlag, RESPONSE_FLAG_LONG, RESPONSE_FLAG_SHORT, formatResponseFlags, formatResponseFlagsLong } from './response-flags.ts';
export type { ResponseFlagName } from './response-flags.ts';
export type { StreamInfo } from './stream-info.ts';
