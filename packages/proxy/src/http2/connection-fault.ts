import { ErrorCode } from './error-code.ts';

/** Why a connection ends: an error of the peer that no stream can bear alone (RFC 9113 section 5.4.1). */
export interface ConnectionFault {
  readonly code: number;
  readonly detail: string;
}

export function protocolFault(detail: string): ConnectionFault {
  return { code: ErrorCode.PROTOCOL_ERROR, detail };
}
