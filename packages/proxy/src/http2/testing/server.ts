import { type HeaderList, ResponseHead } from '../../http/message.ts';
import { type Exchange, ServerLog } from '../../http/testing/exchange-log.ts';
import { ManualTurn } from '../../http/testing/manual-turn.ts';
import { Wire } from '../../http/testing/wire.ts';
import { TurnWriter } from '../../net/turn-writer.ts';
import { type Http2Options, http2Options } from '../options.ts';
import { Http2ServerConnection } from '../server-connection.ts';
import { FrameLines, PREFACE, settings } from './frames.ts';

/** A server's connection whose peer is a test that writes frames. */
export class RawServer {
  readonly wire = new Wire();
  readonly turn = new ManualTurn();
  readonly log: ServerLog;
  readonly connection: Http2ServerConnection;
  readonly #lines = new FrameLines();
  nowMs = 0;

  constructor(given: Partial<Http2Options> = {}, handle: (exchange: Exchange) => void = () => {}) {
    this.log = new ServerLog(handle);
    const options = http2Options({ nowMs: () => this.nowMs, ...given });
    this.connection = new Http2ServerConnection(this.wire, new TurnWriter(this.turn.turn, this.wire), this.log, options);
  }

  /** Past the preface and both SETTINGS. */
  static ready(given: Partial<Http2Options> = {}, handle: (exchange: Exchange) => void = () => {}, ours: Buffer = settings()): RawServer {
    const server = new RawServer(given, handle);
    server.get(PREFACE, ours);
    return server;
  }

  /** The peer sends these frames; returns what it gets in that turn. */
  get(...frames: Buffer[]): string[] {
    const bytes = Buffer.concat(frames);
    this.connection.receive(bytes, 0, bytes.length);
    return this.sent();
  }

  sent(): string[] {
    this.turn.end();
    return this.#lines.read(this.wire.take());
  }
}

export function responseOf(status: number, headers: HeaderList = [], bodyLength = -1): ResponseHead {
  return Object.assign(new ResponseHead(), { status, headers, bodyLength });
}

/** Sends content of the response. */
export function send(exchange: Exchange, text: string, fin: boolean): boolean {
  const bytes = Buffer.from(text, 'latin1');
  return exchange.stream.sendBody(bytes, 0, bytes.length, fin);
}

/** Answers at once, without content. */
export const answer = ({ stream }: Exchange) => void stream.sendResponse(responseOf(200), true);
