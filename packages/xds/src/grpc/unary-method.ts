import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Caller } from '../source.ts';
import type { StreamMethod } from './stream-method.ts';

/** A call whose request does not come holds its stream no longer. */
const ASKED_WITHIN_MS = 10_000;

/** A method of one request and one answer. */
export function unaryMethod<Request extends DescMessage, Response extends DescMessage>(
  input: Request,
  output: Response,
  answer: (request: MessageShape<Request>, caller: Caller) => Promise<MessageShape<Response>>,
): StreamMethod {
  return (call) => {
    let asked = false;
    const silent = setTimeout(
      () => call.end(new ConnectError(`no ${input.typeName} came within ${ASKED_WITHIN_MS / 1000} s`, Code.DeadlineExceeded)),
      ASKED_WITHIN_MS,
    );
    silent.unref();
    return {
      onMessage(bytes) {
        if (asked) throw new ConnectError(`one ${input.typeName} is taken, and no second`, Code.Unimplemented);
        asked = true;
        clearTimeout(silent);
        answer(decodeMessage(input, bytes), call.caller)
          .then((response) => {
            call.send(toBinary(output, response));
            call.end();
          })
          .catch((error) => call.end(error));
      },
      onFinish() {
        if (!asked) throw new ConnectError(`no ${input.typeName} came`, Code.Unimplemented);
      },
      onEnd() {
        clearTimeout(silent);
      },
    };
  };
}

/** Refuses what is no such message. */
export function decodeMessage<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw new ConnectError(`this is no ${schema.typeName}`, Code.InvalidArgument);
  }
}
