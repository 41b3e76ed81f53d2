import { ResponseFlag } from '@outrigger/telemetry';
import type { ResetReason } from '../http/message.ts';
import type { AttemptFailure } from '../resilience/retry-policy.ts';

/** How an attempt's failure is told: flag, words of the body, and of the details. */
interface FailureWords {
  readonly flag: number;
  readonly body: string;
  readonly details: string;
}

const words = (flag: number, body: string): FailureWords => ({ flag, body, details: body.replaceAll(' ', '_') });

/** As Envoy says it (StreamResetReason, response flags). */
const FAILURE_WORDS: Readonly<Record<AttemptFailure, FailureWords>> = {
  'connect-failure': words(ResponseFlag.upstreamConnectionFailure, 'remote connection failure'),
  'connect-timeout': words(ResponseFlag.upstreamConnectionFailure, 'connection timeout'),
  'refused-stream': words(ResponseFlag.upstreamRemoteReset, 'remote refused stream reset'),
  'reset-before-request': words(ResponseFlag.upstreamConnectionTermination, 'connection termination'),
  reset: words(ResponseFlag.upstreamConnectionTermination, 'connection termination'),
  'per-try-timeout': words(ResponseFlag.upstreamRequestTimeout, 'per try timeout'),
  'per-try-idle-timeout': words(ResponseFlag.upstreamRequestTimeout, 'per try idle timeout'),
  'protocol-error': words(ResponseFlag.upstreamProtocolError, 'protocol error'),
  overflow: words(ResponseFlag.upstreamOverflow, 'overflow'),
};

export function flagOfFailure(failure: AttemptFailure): number {
  return FAILURE_WORDS[failure].flag;
}

/** What the downstream is told when no other attempt follows. `detail`: of the transport, '' if there is none. */
export function failureAnswer(failure: AttemptFailure, detail: string, remoteReset: boolean): { status: number; body: string; details: string } {
  if (failure === 'per-try-timeout' || failure === 'per-try-idle-timeout')
    return {
      status: 504,
      body: 'upstream request timeout',
      details: failure === 'per-try-timeout' ? 'upstream_per_try_timeout' : 'upstream_per_try_idle_timeout',
    };
  const { body, details } = FAILURE_WORDS[failure];
  const transport = detail === '' ? '' : `, transport failure reason: ${detail}`;
  return {
    status: 503,
    body: `upstream connect error or disconnect/reset before headers. reset reason: ${remoteReset ? 'remote reset' : body}${transport}`,
    details: `upstream_reset_before_response_started{${detail === '' ? details : `${details}|${detail.replaceAll(' ', '_')}`}}`,
  };
}

/** What a reset before the answer counts as for the retry policy. */
export function failureOf(reason: ResetReason): AttemptFailure {
  switch (reason) {
    case 'RemoteRefusedStream':
    case 'LocalRefusedStream':
      return 'refused-stream';
    case 'ConnectionFailure':
    case 'ConnectError':
      return 'connect-failure';
    case 'ProtocolError':
      return 'protocol-error';
    case 'Overflow':
      return 'overflow';
    default:
      return 'reset';
  }
}

/** Flag of a reset after the answer had begun. */
export function flagOfLateReset(reason: ResetReason): number {
  if (reason === 'ProtocolError') return ResponseFlag.upstreamProtocolError;
  return reason === 'RemoteReset' ? ResponseFlag.upstreamRemoteReset : ResponseFlag.upstreamConnectionTermination;
}
