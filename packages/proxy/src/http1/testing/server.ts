import { type HeaderList, ResponseHead } from '../../http/message.ts';
import { type Exchange, ServerLog } from '../../http/testing/exchange-log.ts';
import { ManualTurn } from '../../http/testing/manual-turn.ts';
import { Wire } from '../../http/testing/wire.ts';
import { TurnWriter } from '../../net/turn-writer.ts';
import { type Http1Options, http1Options } from '../options.ts';
import { Http1ServerConnection } from '../server-connection.ts';

/** An Http1ServerConnection at the end of a wire that the test holds. */
export class Server {
  readonly wire = new Wire();
  readonly turn = new ManualTurn();
  readonly log: ServerLog;
  readonly connection: Http1ServerConnection;

  constructor(given: Partial<Http1Options> = {}, handle: (exchange: Exchange) => void = () => {}) {
    this.log = new ServerLog(handle);
    this.connection = new Http1ServerConnection(this.wire, new TurnWriter(this.turn.turn, this.wire), this.log, http1Options(given));
  }

  /** The peer sends `text`; returns what it gets in that turn. */
  get(text: string): string {
    const bytes = Buffer.from(text, 'latin1');
    this.connection.receive(bytes, 0, bytes.length);
    return this.sent();
  }

  sent(): string {
    this.turn.end();
    return this.wire.take();
  }
}

export function head(status: number, headers: HeaderList = [], bodyLength = -1): ResponseHead {
  return Object.assign(new ResponseHead(), { status, headers, bodyLength });
}

export function body(exchange: Exchange, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return exchange.stream.sendBody(bytes, 0, bytes.length, fin);
}

/** Answers at once with the path. */
export function echo(exchange: Exchange): void {
  exchange.stream.sendResponse(head(200, [], exchange.head.path.length), false);
  body(exchange, exchange.head.path, true);
}

export const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
