import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { HeaderList, ResponseHead } from '../../http/message.ts';
import { headerValue } from '../../routing/headers.ts';
import type { GrpcCheck } from '../../xds/health-check-config.ts';
import { HEALTH_CHECK_USER_AGENT, type HttpProbeKind, requestHead } from './http-probe.ts';
import { type ProbeEvents, type ProbeTarget, probeInfo } from './probe.ts';

const NOTHING = Buffer.alloc(0);
/** grpc.health.v1.HealthCheckResponse is a few bytes. */
const MAX_MESSAGE_BYTES = 4096;
/** Flags and length before a message of gRPC. */
const PREFIX_BYTES = 5;
/** grpc.health.v1.HealthCheckResponse.ServingStatus. */
const SERVING = 1;

/** HealthCheck.GrpcHealthCheck: grpc.health.v1.Health.Check. */
export class GrpcCheckKind implements HttpProbeKind {
  readonly http2 = true;
  readonly #check: GrpcCheck;
  readonly #request: Buffer;
  #head: ResponseHead | null = null;
  #body: Buffer = NOTHING;

  constructor(check: GrpcCheck) {
    this.#check = check;
    this.#request = framed(check.service);
  }

  request(target: ProbeTarget): ReturnType<HttpProbeKind['request']> {
    const headers: HeaderList = [
      ...['te', 'trailers', 'content-type', 'application/grpc', 'user-agent', HEALTH_CHECK_USER_AGENT],
      ...['grpc-timeout', `${Math.ceil(target.timeoutMs)}m`],
    ];
    if (!this.#check.headers.empty) this.#check.headers.apply(headers, probeInfo(target.text));
    return { head: requestHead('POST', '/grpc.health.v1.Health/Check', target, headers, -1), body: this.#request };
  }

  begin(): void {
    this.#head = null;
    this.#body = NOTHING;
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    if (this.#body.length < MAX_MESSAGE_BYTES) this.#body = Buffer.concat([this.#body, buffer.subarray(start, end)]);
  }

  verdict(trailers: HeaderList, events: ProbeEvents): void {
    const { status, headers } = this.#head!;
    const grpcStatus = headerValue(trailers, 'grpc-status');
    const isGrpc = headerValue(headers, 'content-type')?.startsWith('application/grpc') === true;
    if (status === 200 && isGrpc && grpcStatus === '0' && servingStatus(this.#body) === SERVING) events.onPassed(false);
    else events.onFailed('active', false, false);
  }
}

/** grpc.health.v1.HealthCheckRequest. */
function framed(service: string): Buffer {
  const writer = new BinaryWriter();
  if (service !== '') writer.tag(1, WireType.LengthDelimited).string(service);
  const message = writer.finish();
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** -1 where it is no whole and plain message. */
function servingStatus(body: Buffer): number {
  if (body.length < PREFIX_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return -1;
  try {
    const reader = new BinaryReader(body.subarray(PREFIX_BYTES));
    let status = 0;
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.Varint) status = reader.int32();
      else reader.skip(wireType);
    }
    return status;
  } catch {
    return -1;
  }
}
