import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { GrpcService } from '@outrigger/xds/protos/envoy/config/core/v3/grpc_service';
import { type HeaderList, RequestHead, type ResponseHead } from '../../http/message.ts';
import type { CompileReport } from '../../routing/compile-result.ts';
import { durationMs } from '../../routing/duration.ts';
import { headerValue } from '../../routing/headers.ts';
import type { Cancellable, ClusterAnswer, FilterContext, FilterServices } from '../http-filter.ts';

/** An answer of an authorization service or a rate limiter is small. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const FRAME_HEAD_BYTES = 5;

/** Where a unary gRPC call of a filter goes. */
export interface GrpcTarget {
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
  readonly metadata: HeaderList;
}

/** An envoy_grpc service; its cluster is subscribed with the listener. */
export function compileGrpcTarget(
  config: GrpcService | undefined,
  defaultTimeoutMs: number,
  path: string,
  context: FilterContext,
  report: CompileReport,
): GrpcTarget {
  const target = config?.targetSpecifier;
  if (target?.case !== 'envoyGrpc') {
    report.error(path, 'needs an envoy_grpc service');
    return { cluster: '', authority: '', timeoutMs: defaultTimeoutMs, metadata: [] };
  }
  const cluster = target.value.clusterName;
  context.clusters.add(cluster);
  const metadata = config!.initialMetadata.flatMap(({ key, value }) => [key.toLowerCase(), value]);
  const { authority } = target.value;
  return { cluster, authority: authority === '' ? cluster : authority, timeoutMs: durationMs(config!.timeout, defaultTimeoutMs), metadata };
}

export interface GrpcAnswer<Desc extends DescMessage> {
  onMessage(message: MessageShape<Desc>): void;
  onError(detail: string): void;
}

/** One message there, one back. */
export function callGrpc<Request extends DescMessage, Response extends DescMessage>(
  services: FilterServices,
  target: GrpcTarget,
  path: string,
  schema: Request,
  message: MessageShape<Request>,
  answerSchema: Response,
  answer: GrpcAnswer<Response>,
): Cancellable {
  const bytes = toBinary(schema, message);
  const body = Buffer.allocUnsafe(FRAME_HEAD_BYTES + bytes.length);
  body[0] = 0;
  body.writeUInt32BE(bytes.length, 1);
  body.set(bytes, FRAME_HEAD_BYTES);
  const head = new RequestHead();
  head.method = 'POST';
  head.path = path;
  head.authority = target.authority;
  head.version = 20;
  head.bodyLength = -1;
  head.headers = ['content-type', 'application/grpc', 'te', 'trailers', 'grpc-timeout', `${target.timeoutMs}m`, ...target.metadata];
  return services.call(
    { cluster: target.cluster, head, body, http2: true, timeoutMs: target.timeoutMs, maxAnswerBytes: MAX_ANSWER_BYTES },
    new GrpcReader(answerSchema, answer),
  );
}

class GrpcReader<Desc extends DescMessage> implements ClusterAnswer {
  readonly #schema: Desc;
  readonly #answer: GrpcAnswer<Desc>;

  constructor(schema: Desc, answer: GrpcAnswer<Desc>) {
    this.#schema = schema;
    this.#answer = answer;
  }

  onAnswer(head: ResponseHead, body: Buffer, trailers: HeaderList): void {
    const status = headerValue(trailers, 'grpc-status') ?? headerValue(head.headers, 'grpc-status');
    if (head.status !== 200 || status !== '0') {
      const message = headerValue(trailers, 'grpc-message') ?? headerValue(head.headers, 'grpc-message') ?? '';
      this.#answer.onError(`HTTP ${head.status}, grpc-status ${status ?? 'missing'}${message === '' ? '' : `: ${message}`}`);
      return;
    }
    const length = body.length >= FRAME_HEAD_BYTES ? body.readUInt32BE(1) : -1;
    if (body[0] !== 0 || length !== body.length - FRAME_HEAD_BYTES) {
      this.#answer.onError('the answer is not one plain gRPC message');
      return;
    }
    let message: MessageShape<Desc>;
    try {
      message = fromBinary(this.#schema, body.subarray(FRAME_HEAD_BYTES));
    } catch (error) {
      this.#answer.onError(`the answer cannot be decoded: ${(error as Error).message}`);
      return;
    }
    this.#answer.onMessage(message);
  }

  onNoAnswer(detail: string): void {
    this.#answer.onError(detail);
  }
}
