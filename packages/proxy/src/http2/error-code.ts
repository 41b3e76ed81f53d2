import type { ResetReason } from '../http/message.ts';

/** RFC 9113 section 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

const NAMES = Object.keys(ErrorCode);

/** "PROTOCOL_ERROR", or the number where there is no name. */
export function errorCodeName(code: number): string {
  return NAMES[code] ?? String(code);
}

/** What an RST_STREAM says of us. */
export function resetCode(reason: ResetReason): number {
  switch (reason) {
    case 'LocalRefusedStream':
    case 'RemoteRefusedStream':
    case 'Overflow':
      return ErrorCode.REFUSED_STREAM;
    case 'ProtocolError':
      return ErrorCode.PROTOCOL_ERROR;
    case 'ConnectError':
      return ErrorCode.CONNECT_ERROR;
    case 'ConnectionFailure':
    case 'ConnectionTermination':
    case 'RemoteReset':
      return ErrorCode.INTERNAL_ERROR;
    default:
      return ErrorCode.CANCEL;
  }
}
