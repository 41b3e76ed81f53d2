import { connect, type Socket } from 'node:net';
import type { Lane } from './contestants.ts';
import { readByRfc, readResponses } from './readers.ts';
import type { Script } from './recording-backend.ts';

/** Nothing moves for so long, ms: a proxy waits for more. Then the client ends its side. */
const QUIET_MS = 400;
/** After that, ms, what is still open is cut. */
const CUT_MS = 1_500;

export interface Exchanged {
  /** What the client got, latin1. */
  readonly answer: string;
  /** How the client's connection ended: by the proxy, by a reset, or not before the client went. */
  readonly end: 'closed' | 'reset' | 'open';
  /** The client ended its side before there was any answer: nothing had moved for a while. */
  readonly silent: boolean;
  /** What the backend got on each connection. */
  readonly received: readonly string[];
}

/** Whether an answer is the last of its connection: told at each arrival. */
export type IsLast = (answer: string) => boolean;

/** One case on a lane: bytes in, bytes out at either side. */
export async function exchange(
  lane: Lane,
  bytes: Buffer,
  options: { readonly script?: Script; readonly isLast?: IsLast; readonly patience?: number } = {},
): Promise<Exchanged> {
  const { script, isLast = saysClose, patience = 1 } = options;
  const { backend } = lane;
  backend.begin(script);
  const socket = connect({ port: lane.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const ended = watch(socket, backend, isLast, patience);
  socket.write(bytes);
  const { answer, end, silent } = await ended;
  await backend.idle(CUT_MS * patience);
  return { answer, end, silent, received: backend.received };
}

/** A whole response that says so; Envoy would keep its side open for a second. */
function saysClose(answer: string): boolean {
  if (!/\r\nconnection: close\r\n/i.test(answer)) return false;
  const { messages } = readByRfc((reader) => readResponses(answer, reader, []));
  return messages.some(({ headers }) => headers.some(([name, value]) => name === 'connection' && value.toLowerCase() === 'close'));
}

function watch(socket: Socket, backend: Lane['backend'], isLast: IsLast, patience: number): Promise<Omit<Exchanged, 'received'>> {
  return new Promise((resolve) => {
    let answer = '';
    let end: Exchanged['end'] | undefined;
    let ending = false;
    let last = false;
    let silent = false;
    const over = (how: Exchanged['end']) => {
      if (end !== undefined) return;
      end = how;
      clearTimeout(timer);
      backend.onActivity = () => {};
      socket.destroy();
      resolve({ answer, end, silent });
    };
    const onQuiet = () => {
      if (ending) over('open');
      else finish();
    };
    const finish = () => {
      silent ||= answer === '';
      ending = true;
      clearTimeout(timer);
      socket.end();
      timer = setTimeout(onQuiet, CUT_MS * patience);
    };
    let timer = setTimeout(onQuiet, QUIET_MS * patience);
    const onActivity = () => {
      if (!ending && end === undefined) timer.refresh();
    };
    backend.onActivity = onActivity;
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      answer += chunk;
      onActivity();
      if (!last && isLast(answer)) {
        last = true;
        finish();
      }
    });
    const gone = (how: 'closed' | 'reset') => over(ending && !last ? 'open' : how);
    socket.on('end', () => gone('closed'));
    socket.on('error', () => gone('reset'));
    socket.on('close', () => gone('closed'));
  });
}
