import { create, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Caller, decodeMessage, type ServerCall, type ServerCallEvents, type StreamMethods } from '@outrigger/xds';
import { type AttachRequest, AttachRequestSchema, type AttachResponse, AttachResponseSchema, type Register } from '@outrigger/xds/protos/outrigger/v1/workload';
import type { Clock } from '../clock.ts';
import type { AttachedRegistry, Attachment } from '../registry/attached-registry.ts';
import { checkRegistration } from '../registry/check-registration.ts';
import type { Refusal, Registration } from '../registry/registration.ts';
import { Outbox } from './outbox.ts';

/** The roots to trust, told to every agent when it attaches and whenever they change. */
export interface TrustBundleSource {
  current(): readonly string[];
  onChange(listener: () => void): () => void;
}

export interface WorkloadServiceOptions {
  readonly registry: AttachedRegistry;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly trustBundle: TrustBundleSource;
  /** Whether a process of this user on the control plane's Unix socket may register this workload. Default: none may. */
  readonly permitsUid?: (uid: number, namespace: string, serviceAccount: string) => boolean;
  /** Whether a workload may be an instance of a service that is not named like its service account. Default: it may not. */
  readonly mayServe?: (registration: Registration) => boolean;
}

/** Until the first message. */
const REGISTER_TIMEOUT_MS = 5_000;
/** An agent sends two a second and a few more. */
export const MAX_MESSAGES_PER_SECOND = 100;

/** The server half of `outrigger.v1.WorkloadService`: the stream is the lease. */
export function workloadMethods(options: WorkloadServiceOptions): StreamMethods {
  const { registry, clock, trustBundle } = options;
  return new Map([['/outrigger.v1.WorkloadService/Attach', attach]]);

  function attach(call: ServerCall): ServerCallEvents {
    const { caller } = call;
    const outbox = new Outbox<'registered' | 'heartbeat' | 'trustBundle'>(call);
    const limit = new MessageLimit(clock);
    let lease: Attachment | undefined;
    let stopWatching = (): void => {};
    const cancelTimer = clock.after(REGISTER_TIMEOUT_MS, () =>
      call.end(new ConnectError(`Nothing was registered within ${REGISTER_TIMEOUT_MS} ms. Send "register" first.`, Code.DeadlineExceeded)),
    );
    const sendBundle = (): void =>
      outbox.put('trustBundle', response({ case: 'trustBundle', value: { $typeName: 'outrigger.v1.TrustBundle', rootsPem: [...trustBundle.current()] } }));
    return {
      onMessage(bytes) {
        const { message } = decodeMessage(AttachRequestSchema, bytes);
        if (lease !== undefined) {
          limit.take(registry.heartbeatIntervalMs);
          take(lease, message);
          return;
        }
        cancelTimer();
        if (message.case !== 'register') throw new ConnectError('The first message has to be "register".', Code.InvalidArgument);
        const attached = registry.attach(admit(caller, message.value), callerName(caller), (why) => call.end(endOf(why)));
        if ('refused' in attached) throw refusalError(attached);
        lease = attached;
        outbox.put(
          'registered',
          response({
            case: 'registered',
            value: { $typeName: 'outrigger.v1.Registered', trustDomain: options.trustDomain, heartbeatIntervalMs: registry.heartbeatIntervalMs },
          }),
        );
        stopWatching = trustBundle.onChange(sendBundle);
        sendBundle();
      },
      onFinish: () => call.end(),
      onDrain: () => outbox.drained(),
      onEnd() {
        cancelTimer();
        stopWatching();
        lease?.close();
      },
    };

    function take(attachment: Attachment, message: AttachRequest['message']): void {
      switch (message.case) {
        case 'heartbeat':
          attachment.heartbeat();
          outbox.put('heartbeat', response(message));
          return;
        case 'health':
          attachment.health(message.value.healthy, message.value.reason);
          return;
        case 'leave':
          attachment.leave();
          return;
        case 'register': {
          const refusal = attachment.update(admit(caller, message.value));
          if (refusal !== undefined) throw refusalError(refusal);
          return;
        }
        default:
          throw new ConnectError('A message with nothing in it, or of a newer kind than this control plane knows.', Code.InvalidArgument);
      }
    }
  }

  /** Checks what is registered, and that the caller is that workload. */
  function admit(caller: Caller, register: Register): Registration {
    const registration = checkRegistration(register);
    if ('refused' in registration) throw refusalError(registration);
    const { namespace, serviceAccount, service } = registration;
    const spiffeId = `spiffe://${options.trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
    if (caller.spiffeId !== undefined) {
      if (caller.spiffeId !== spiffeId) {
        throw new ConnectError(
          `The connection is of ${caller.spiffeId}, which cannot register an instance of ${spiffeId}. Register under its own namespace and service account.`,
          Code.PermissionDenied,
        );
      }
      if (service !== serviceAccount && options.mayServe?.(registration) !== true) {
        throw new ConnectError(
          `Service account ${namespace}/${serviceAccount} may not be an instance of the service ${service}: its callers would take it for that. Run it under the service account ${service}, or have the control plane allow it.`,
          Code.PermissionDenied,
        );
      }
      return registration;
    }
    if (caller.peer !== undefined) {
      if (options.permitsUid?.(caller.peer.uid, namespace, serviceAccount) === true) return registration;
      throw new ConnectError(
        `Processes of user ${caller.peer.uid} may not register an instance of ${spiffeId}. Connect with its SVID, or run it as the control plane's user.`,
        Code.PermissionDenied,
      );
    }
    throw new ConnectError(`Nothing proves that the caller is ${spiffeId}. Connect with its SVID.`, Code.Unauthenticated);
  }
}

function callerName(caller: Caller): string {
  return caller.spiffeId ?? `user ${caller.peer?.uid}`;
}

function endOf(why: 'lost' | 'replaced'): ConnectError {
  if (why === 'lost') return new ConnectError('No heartbeat came in time, so the instance was taken out. Attach anew.', Code.DeadlineExceeded);
  return new ConnectError('The instance has attached anew by another stream.', Code.Aborted);
}

const STATUS: Record<Refusal['refused'], Code> = {
  invalid: Code.InvalidArgument,
  limit: Code.ResourceExhausted,
  taken: Code.AlreadyExists,
  unknown: Code.NotFound,
};

function refusalError(refusal: Refusal): ConnectError {
  return new ConnectError(refusal.reason, STATUS[refusal.refused]);
}

function response(message: AttachResponse['message']): Uint8Array {
  return toBinary(AttachResponseSchema, create(AttachResponseSchema, { message }));
}

/** A peer that floods is ended. */
class MessageLimit {
  readonly #clock: Clock;
  #windowStartMs: number;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#windowStartMs = clock.now();
  }

  take(heartbeatIntervalMs: number): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#windowStartMs >= 1000) {
      this.#windowStartMs = nowMs;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count > MAX_MESSAGES_PER_SECOND)
      throw new ConnectError(
        `More than ${MAX_MESSAGES_PER_SECOND} messages in a second. Send a heartbeat every ${heartbeatIntervalMs} ms.`,
        Code.ResourceExhausted,
      );
  }
}
