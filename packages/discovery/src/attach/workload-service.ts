import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type Caller, callerKey } from '@outrigger/xds';
import {
  type AttachRequest,
  type AttachResponse,
  AttachResponseSchema,
  type Register,
  type WorkloadService,
} from '@outrigger/xds/protos/outrigger/v1/workload';
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

/** The server half of `outrigger.v1.WorkloadService`: the stream is the lease. Who calls comes from the server's context (`callerKey` of @outrigger/xds). */
export function workloadService(options: WorkloadServiceOptions): ServiceImpl<typeof WorkloadService> {
  const { registry, clock, trustBundle } = options;

  return {
    async *attach(requests, context) {
      const caller = context.values.get(callerKey);
      const incoming = requests[Symbol.asyncIterator]();
      const registration = admit(caller, await firstRegister(incoming));
      const outbox = new Outbox<'heartbeat' | 'trustBundle', AttachResponse>();
      const lease = attach(registration, caller, outbox);
      const sendBundle = () =>
        outbox.put('trustBundle', response({ case: 'trustBundle', value: { $typeName: 'outrigger.v1.TrustBundle', rootsPem: [...trustBundle.current()] } }));
      const stopWatching = trustBundle.onChange(sendBundle);
      const detach = () => {
        stopWatching();
        lease.close();
        outbox.end();
      };
      // The lease ends with what comes in, not with what could be sent: a peer that died may leave a write hanging.
      void read().then(detach, (error) => {
        outbox.end(ConnectError.from(error));
        detach();
      });
      try {
        yield response({
          case: 'registered',
          value: { $typeName: 'outrigger.v1.Registered', trustDomain: options.trustDomain, heartbeatIntervalMs: registry.heartbeatIntervalMs },
        });
        sendBundle();
        yield* outbox;
      } finally {
        detach();
      }

      async function read(): Promise<void> {
        let windowStartMs = clock.now();
        let count = 0;
        for (;;) {
          const next = await incoming.next();
          if (next.done === true) return;
          if (clock.now() - windowStartMs >= 1000) {
            windowStartMs = clock.now();
            count = 0;
          }
          count += 1;
          if (count > MAX_MESSAGES_PER_SECOND)
            throw new ConnectError(
              `More than ${MAX_MESSAGES_PER_SECOND} messages in a second. Send a heartbeat every ${registry.heartbeatIntervalMs} ms.`,
              Code.ResourceExhausted,
            );
          take(next.value);
        }
      }

      function take({ message }: AttachRequest): void {
        switch (message.case) {
          case 'heartbeat':
            lease.heartbeat();
            outbox.put('heartbeat', response(message));
            return;
          case 'health':
            lease.health(message.value.healthy, message.value.reason);
            return;
          case 'leave':
            lease.leave();
            return;
          case 'register': {
            const refusal = lease.update(admit(caller, message.value));
            if (refusal !== undefined) throw refusalError(refusal);
            return;
          }
          default:
            throw new ConnectError('A message with nothing in it, or of a newer kind than this control plane knows.', Code.InvalidArgument);
        }
      }
    },
  };

  function attach(registration: Registration, caller: Caller, outbox: Outbox<string, AttachResponse>): Attachment {
    const attachment = registry.attach(registration, callerName(caller), (why) => outbox.end(endOf(why)));
    if ('refused' in attachment) throw refusalError(attachment);
    return attachment;
  }

  async function firstRegister(incoming: AsyncIterator<AttachRequest>): Promise<Register> {
    let cancel = () => {};
    const late = new Promise<never>((_resolve, reject) => {
      cancel = clock.after(REGISTER_TIMEOUT_MS, () =>
        reject(new ConnectError(`Nothing was registered within ${REGISTER_TIMEOUT_MS} ms. Send "register" first.`, Code.DeadlineExceeded)),
      );
    });
    const first = await Promise.race([incoming.next(), late]).finally(() => cancel());
    if (first.done !== true && first.value.message.case === 'register') return first.value.message.value;
    throw new ConnectError('The first message has to be "register".', Code.InvalidArgument);
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

function response(message: AttachResponse['message']): AttachResponse {
  return create(AttachResponseSchema, { message });
}
