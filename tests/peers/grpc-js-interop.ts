// gRPC's interoperability service by @grpc/grpc-js: node grpc-js-interop.ts server ADDRESS - | interop TARGET CASE,CASE (prints "passed").
import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

/** What is used here of grpc.testing.TestService: names and numbers are gRPC's, so that other libraries understand it. */
const { root } = protobuf.parse(`syntax = "proto3";
package grpc.testing;
message Empty {}
message Payload { int32 type = 1; bytes body = 2; }
message EchoStatus { int32 code = 1; string message = 2; }
message SimpleRequest { int32 response_size = 2; Payload payload = 3; EchoStatus response_status = 7; }
message SimpleResponse { Payload payload = 1; }
message StreamingInputCallRequest { Payload payload = 1; }
message StreamingInputCallResponse { int32 aggregated_payload_size = 1; }
message ResponseParameters { int32 size = 1; int32 interval_us = 2; }
message StreamingOutputCallRequest { repeated ResponseParameters response_parameters = 2; Payload payload = 3; EchoStatus response_status = 7; }
message StreamingOutputCallResponse { Payload payload = 1; }`);

const LIMITS = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.max_send_message_length': 16 << 20 };
const ECHOED_HEADER = 'x-grpc-test-echo-initial';
const ECHOED_TRAILER = 'x-grpc-test-echo-trailing-bin';
const DEADLINE_MS = 20_000;

/** Fields of all messages together. */
interface Message {
  readonly payload: { readonly body: Buffer };
  readonly responseSize: number;
  readonly responseStatus: { readonly code: number; readonly message: string } | null;
  readonly responseParameters: readonly { readonly size: number }[];
  readonly aggregatedPayloadSize: number;
}
type Sent = Partial<Message>;

function method(name: string, request: string, response: string, requestStream: boolean, responseStream: boolean) {
  const types = [request, response].map((type) => root.lookupType(`grpc.testing.${type}`));
  const serialize = (type: protobuf.Type) => (message: Sent) => Buffer.from(type.encode(type.fromObject(message)).finish());
  const deserialize = (type: protobuf.Type) => (bytes: Buffer) => type.toObject(type.decode(bytes), { defaults: true }) as Message;
  return {
    path: `/grpc.testing.TestService/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize(types[0]!),
    requestDeserialize: deserialize(types[0]!),
    responseSerialize: serialize(types[1]!),
    responseDeserialize: deserialize(types[1]!),
  };
}

const definition = {
  emptyCall: method('EmptyCall', 'Empty', 'Empty', false, false),
  unaryCall: method('UnaryCall', 'SimpleRequest', 'SimpleResponse', false, false),
  streamingInputCall: method('StreamingInputCall', 'StreamingInputCallRequest', 'StreamingInputCallResponse', true, false),
  streamingOutputCall: method('StreamingOutputCall', 'StreamingOutputCallRequest', 'StreamingOutputCallResponse', false, true),
  fullDuplexCall: method('FullDuplexCall', 'StreamingOutputCallRequest', 'StreamingOutputCallResponse', true, true),
};

const zeros = (size: number): Sent => ({ payload: { body: Buffer.alloc(size) } });

/** What the client wants back: its header as a header, its trailer as a trailer. */
function echoed(metadata: grpc.Metadata): { readonly header: grpc.Metadata; readonly trailer: grpc.Metadata } {
  const [header, trailer] = [new grpc.Metadata(), new grpc.Metadata()];
  for (const value of metadata.get(ECHOED_HEADER)) header.set(ECHOED_HEADER, value);
  for (const value of metadata.get(ECHOED_TRAILER)) trailer.set(ECHOED_TRAILER, value);
  return { header, trailer };
}

const implementation: grpc.UntypedServiceImplementation = {
  emptyCall: (_call: unknown, done: grpc.sendUnaryData<Sent>) => done(null, {}),
  unaryCall(call: grpc.ServerUnaryCall<Message, Sent>, done: grpc.sendUnaryData<Sent>) {
    const { header, trailer } = echoed(call.metadata);
    if (header.get(ECHOED_HEADER).length > 0) call.sendMetadata(header);
    const { responseStatus, responseSize } = call.request;
    if (responseStatus !== null) done({ code: responseStatus.code, details: responseStatus.message });
    else done(null, zeros(responseSize), trailer);
  },
  streamingInputCall(call: grpc.ServerReadableStream<Message, Sent>, done: grpc.sendUnaryData<Sent>) {
    let sum = 0;
    call.on('data', ({ payload }: Message) => {
      sum += payload.body.length;
    });
    call.on('end', () => done(null, { aggregatedPayloadSize: sum }));
  },
  streamingOutputCall(call: grpc.ServerWritableStream<Message, Sent>) {
    for (const { size } of call.request.responseParameters) call.write(zeros(size));
    call.end();
  },
  fullDuplexCall(call: grpc.ServerDuplexStream<Message, Sent>) {
    const { header, trailer } = echoed(call.metadata);
    if (header.get(ECHOED_HEADER).length > 0) call.sendMetadata(header);
    call.on('error', () => {});
    call.on('data', ({ responseParameters, responseStatus }: Message) => {
      if (responseStatus !== null) call.emit('error', { code: responseStatus.code, details: responseStatus.message });
      else for (const { size } of responseParameters) call.write(zeros(size));
    });
    call.on('end', () => call.end(trailer));
  },
};

function serve(address: string): void {
  const server = new grpc.Server(LIMITS);
  server.addService(definition as unknown as grpc.ServiceDefinition, implementation);
  server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => {
    if (error !== null) throw error;
  });
}

interface Outcome {
  readonly replies: Message[];
  readonly status: grpc.StatusObject;
  readonly header: grpc.Metadata;
}

const sizesOf = ({ replies }: Outcome): number[] => replies.map(({ payload }) => payload.body.length);

class Cases {
  readonly #client: grpc.Client;

  constructor(target: string) {
    this.#client = new grpc.Client(target, grpc.credentials.createInsecure(), { ...LIMITS, 'grpc.enable_retries': 0 });
  }

  close(): void {
    this.#client.close();
  }

  async run(name: string): Promise<void> {
    switch (name) {
      case 'empty_unary':
        assert.equal((await this.call('emptyCall', [{}])).status.code, grpc.status.OK);
        break;
      case 'large_unary':
        assert.deepEqual(sizesOf(await this.call('unaryCall', [{ responseSize: 314_159, ...zeros(271_828) }])), [314_159]);
        break;
      case 'huge_unary':
        assert.deepEqual(sizesOf(await this.call('unaryCall', [{ responseSize: 10 << 20, ...zeros(10 << 20) }])), [10 << 20]);
        break;
      case 'client_streaming': {
        const { replies } = await this.call('streamingInputCall', [27_182, 8, 1828, 45_904].map(zeros));
        assert.equal(replies[0]?.aggregatedPayloadSize, 74_922);
        break;
      }
      case 'server_streaming': {
        const sizes = [31_415, 9, 2653, 58_979];
        assert.deepEqual(sizesOf(await this.call('streamingOutputCall', [{ responseParameters: sizes.map((size) => ({ size })) }])), sizes);
        break;
      }
      case 'ping_pong':
        await this.pingPong([31_415, 9, 2653, 58_979]);
        break;
      case 'status_code_and_message':
        for (const kind of ['unaryCall', 'fullDuplexCall'] as const) {
          const { status } = await this.call(kind, [{ responseStatus: { code: 2, message: 'test status message ☺' } }]);
          assert.deepEqual([status.code, status.details], [2, 'test status message ☺']);
        }
        break;
      case 'custom_metadata': {
        const metadata = new grpc.Metadata();
        metadata.set(ECHOED_HEADER, 'test_initial_metadata_value');
        metadata.set(ECHOED_TRAILER, Buffer.from([0xab, 0xab, 0xab]));
        for (const kind of ['unaryCall', 'fullDuplexCall'] as const) {
          const { header, status } = await this.call(kind, [{ responseSize: 1, responseParameters: [{ size: 1 }] }], metadata);
          assert.deepEqual(header.get(ECHOED_HEADER), ['test_initial_metadata_value']);
          assert.deepEqual(status.metadata.get(ECHOED_TRAILER), [Buffer.from([0xab, 0xab, 0xab])]);
        }
        break;
      }
      case 'deadline': {
        const { status } = await this.call('fullDuplexCall', [], new grpc.Metadata(), 300, false);
        assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
        break;
      }
      default:
        throw new Error(`${name}: no such case`);
    }
  }

  /** The next request goes out when the answer to the last one is there: nothing on the way may wait for more. */
  private async pingPong(sizes: readonly number[]): Promise<void> {
    const stream = this.open('fullDuplexCall', new grpc.Metadata(), DEADLINE_MS);
    const replies = stream[Symbol.asyncIterator]();
    for (const size of sizes) {
      stream.write({ responseParameters: [{ size }], ...zeros(size) });
      const { value } = await replies.next();
      assert.equal(value?.payload.body.length, size);
    }
    stream.end();
    assert.equal((await replies.next()).done, true);
  }

  private open(kind: keyof typeof definition, metadata: grpc.Metadata, deadlineMs: number): grpc.ClientDuplexStream<Sent, Message> {
    const { path, requestSerialize, responseDeserialize } = definition[kind];
    return this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, { deadline: Date.now() + deadlineMs });
  }

  /** Every kind of call is a stream on the wire: sent as one, so that header, replies and status are all seen. */
  private call(
    kind: keyof typeof definition,
    requests: readonly Sent[],
    metadata = new grpc.Metadata(),
    deadlineMs = DEADLINE_MS,
    ends = true,
  ): Promise<Outcome> {
    const stream = this.open(kind, metadata, deadlineMs);
    return new Promise((resolve) => {
      const replies: Message[] = [];
      let header = new grpc.Metadata();
      stream.on('error', () => {});
      stream.on('data', (reply: Message) => replies.push(reply));
      stream.on('metadata', (received: grpc.Metadata) => {
        header = received;
      });
      stream.on('status', (status) => resolve({ replies, status, header }));
      for (const request of requests) stream.write(request);
      if (ends) stream.end();
    });
  }
}

const [mode, address = '', argument = ''] = process.argv.slice(2);
if (mode === 'server') serve(address);
else if (mode === 'interop') {
  const cases = new Cases(address);
  for (const name of argument.split(',')) {
    console.error(name);
    await cases.run(name);
  }
  cases.close();
  console.log('passed');
} else throw new Error(`${mode}: no such mode`);
