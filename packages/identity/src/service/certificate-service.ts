import { X509Certificate } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Caller, type StreamMethods, unaryMethod } from '@outrigger/xds';
import { type SignRequest, SignRequestSchema, type SignResponse, SignResponseSchema } from '@outrigger/xds/protos/outrigger/v1/workload';
import type { Authority } from '../ca/authority.ts';
import { MIN_TTL_MS } from '../ca/authority.ts';
import { publicKeyOfCsr } from '../ca/csr.ts';
import type { Clock } from '../clock.ts';
import { IdentityError, type IdentityErrorCode } from '../identity-error.ts';
import { formatSpiffeId, type WorkloadIdentity, workloadIdentityFault } from '../spiffe/spiffe-id.ts';
import { type Attested, type Attestors, attest } from './attest.ts';
import { type RateLimit, RateLimiter } from './rate-limit.ts';

/** One answered or refused request, for the log; holds no secret. */
export interface IssuanceRecord {
  readonly spiffeId: string;
  readonly remote: string;
  readonly by: Attested['by'] | 'nothing';
  /** '' where it was issued. */
  readonly refused: string;
  readonly serialNumber: string;
  readonly notAfterMs: number;
}

export interface CertificateServiceOptions {
  readonly authority: Authority;
  readonly attestors: Attestors;
  readonly clock: Clock;
  /** Requests of one caller (its SVID, its user or its address). Default 200 at once, 50 a second. */
  readonly callerLimit?: RateLimit;
  /** Requests of all. Default 2000 at once, 500 a second. */
  readonly totalLimit?: RateLimit;
  readonly onRequest?: (record: IssuanceRecord) => void;
}

/** Enough for a machine full of workloads that all start at once. */
const DEFAULT_CALLER_LIMIT: RateLimit = { burst: 200, perSecond: 50 };
/** A signature costs about half a millisecond: this keeps half a core for the rest. */
const DEFAULT_TOTAL_LIMIT: RateLimit = { burst: 2000, perSecond: 500 };
const MAX_TOKEN_CHARACTERS = 1024;

/** The server half of `outrigger.v1.CertificateService`. */
export function certificateMethods(options: CertificateServiceOptions): StreamMethods {
  const { authority, attestors, clock } = options;
  const perCaller = new RateLimiter(options.callerLimit ?? DEFAULT_CALLER_LIMIT);
  const total = new RateLimiter(options.totalLimit ?? DEFAULT_TOTAL_LIMIT);

  return new Map([['/outrigger.v1.CertificateService/Sign', unaryMethod(SignRequestSchema, SignResponseSchema, sign)]]);

  async function sign(request: SignRequest, caller: Caller): Promise<SignResponse> {
    const identity: WorkloadIdentity = { trustDomain: authority.trustDomain, namespace: request.namespace, serviceAccount: request.serviceAccount };
    // Names are checked before they are put in any text.
    const invalid = workloadIdentityFault(identity);
    const spiffeId = invalid === undefined ? formatSpiffeId(identity) : '';
    let by: IssuanceRecord['by'] = 'nothing';
    try {
      limit(caller);
      if (invalid !== undefined) throw new ConnectError(`No certificate can be issued: ${invalid}.`, Code.InvalidArgument);
      if (request.joinToken.length > MAX_TOKEN_CHARACTERS) throw new ConnectError('The join token is too long; copy it whole and alone.', Code.InvalidArgument);
      const attested = attest(caller, identity, request.joinToken, attestors);
      by = attested.by;
      const response = await issue(request, identity, attested);
      options.onRequest?.({
        spiffeId,
        remote: caller.remote,
        by,
        refused: '',
        serialNumber: serialOf(response),
        notAfterMs: Number(response.notAfterUnixMs),
      });
      return response;
    } catch (error) {
      const refusal = toConnectError(error);
      options.onRequest?.({ spiffeId, remote: caller.remote, by, refused: refusal.rawMessage, serialNumber: '', notAfterMs: 0 });
      throw refusal;
    }
  }

  function limit(caller: Caller): void {
    const waitMs = total.take('', clock.now()) ?? perCaller.take(callerName(caller), clock.now());
    if (waitMs !== undefined) throw new ConnectError(`Too many certificate requests; try again in ${waitMs} ms.`, Code.ResourceExhausted);
  }

  async function issue(request: SignRequest, identity: WorkloadIdentity, attested: Attested): Promise<SignResponse> {
    // A token is used up only for a request that will be answered.
    await authority.check(request.csrDer, identity);
    await attested.redeem(publicKeyOfCsr(request.csrDer));
    const ttlMs = request.ttlSeconds === 0 ? authority.defaultTtlMs : Math.max(request.ttlSeconds * 1000, MIN_TTL_MS);
    const issued = await authority.sign(request.csrDer, identity, ttlMs);
    return create(SignResponseSchema, {
      certificateChainPem: [...issued.certificateChainPem],
      trustBundlePem: [...issued.trustBundlePem],
      notBeforeUnixMs: BigInt(issued.notBeforeMs),
      notAfterUnixMs: BigInt(issued.notAfterMs),
      spiffeId: issued.spiffeId,
    });
  }
}

/** Whom a limit counts against; a port is not part of an address's name. */
function callerName(caller: Caller): string {
  if (caller.spiffeId !== undefined) return caller.spiffeId;
  if (caller.peer !== undefined) return `user ${caller.peer.uid}`;
  return caller.remote.replace(/:\d+$/, '');
}

function serialOf(response: SignResponse): string {
  return new X509Certificate(response.certificateChainPem[0]!).serialNumber;
}

const STATUS: Partial<Record<IdentityErrorCode, Code>> = {
  'csr-malformed': Code.InvalidArgument,
  'csr-too-large': Code.InvalidArgument,
  'csr-signature': Code.InvalidArgument,
  'csr-key': Code.InvalidArgument,
  'csr-identity': Code.PermissionDenied,
  'identity-invalid': Code.InvalidArgument,
  'identity-reserved': Code.PermissionDenied,
  'ttl-out-of-range': Code.InvalidArgument,
  'token-malformed': Code.Unauthenticated,
  'token-refused': Code.Unauthenticated,
};

function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof IdentityError) return new ConnectError(error.message, STATUS[error.code] ?? Code.Internal);
  // The cause stays here: its text may name files or keys of the control plane.
  return new ConnectError(
    'The control plane could not issue a certificate because of a fault of its own; see its log.',
    Code.Internal,
    undefined,
    undefined,
    error,
  );
}
