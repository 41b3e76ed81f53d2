import type { ConnectionInfo } from './connection-info.ts';

/** Told of each connection of a listener once it is over, also of those that it did not serve. */
export type ConnectionLogger = (connection: EndedConnection) => void;

export interface EndedConnection {
  readonly info: ConnectionInfo;
  readonly startUnixMs: number;
  readonly endUnixMs: number;
  readonly responseFlags: number;
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** The access log of a listener, if it has one. */
export class ConnectionLog {
  readonly #logger: ConnectionLogger | null;
  readonly #unixMs: () => number;

  constructor(logger: ConnectionLogger | null, unixMs: () => number) {
    this.#logger = logger;
    this.#unixMs = unixMs;
  }

  /** False: nobody wants to know. */
  get written(): boolean {
    return this.#logger !== null;
  }

  /** A connection is over. */
  tell(info: ConnectionInfo, startUnixMs: number, responseFlags: number, details: string, bytesReceived = 0, bytesSent = 0): void {
    if (this.#logger === null) return;
    this.#logger({ info, startUnixMs, endUnixMs: this.#unixMs(), responseFlags, details, bytesReceived, bytesSent });
  }
}
