import { ErrorCode } from './error-code.ts';
import { Flag, FrameType } from './frame.ts';

const NAMES = Object.keys(FrameType);

/** "SETTINGS", or the number where there is no name. */
export function frameTypeName(type: number): string {
  return NAMES[type] ?? String(type);
}

/** What the stream and the size of a frame make of it: the code of a connection error, or NO_ERROR (RFC 9113 section 6). */
export function checkFrame(type: number, flags: number, id: number, length: number): number {
  switch (type) {
    case FrameType.HEADERS:
    case FrameType.PRIORITY:
    case FrameType.CONTINUATION:
      return id === 0 ? ErrorCode.PROTOCOL_ERROR : ErrorCode.NO_ERROR;
    case FrameType.RST_STREAM:
      if (id === 0) return ErrorCode.PROTOCOL_ERROR;
      return length === 4 ? ErrorCode.NO_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    case FrameType.WINDOW_UPDATE:
      return length === 4 ? ErrorCode.NO_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    case FrameType.SETTINGS:
      if (id !== 0) return ErrorCode.PROTOCOL_ERROR;
      return length % 6 !== 0 || ((flags & Flag.ACK) !== 0 && length > 0) ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.NO_ERROR;
    case FrameType.PING:
      if (id !== 0) return ErrorCode.PROTOCOL_ERROR;
      return length === 8 ? ErrorCode.NO_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    case FrameType.GOAWAY:
      if (id !== 0) return ErrorCode.PROTOCOL_ERROR;
      return length >= 8 ? ErrorCode.NO_ERROR : ErrorCode.FRAME_SIZE_ERROR;
    case FrameType.PUSH_PROMISE:
      return ErrorCode.PROTOCOL_ERROR;
    default:
      return ErrorCode.NO_ERROR;
  }
}
