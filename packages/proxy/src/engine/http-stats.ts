/** Of one HTTP connection manager since it began, or since /reset_counters. */
export class HttpStats {
  /** Requests that are over, by the class of their status; [0]: without one. */
  readonly completed: number[] = [0, 0, 0, 0, 0, 0];
  /** Downstream connections, and those of HTTP/2 among them. */
  connections = 0;
  http2Connections = 0;
  /** Requests that were answered with 503 because of overload. */
  overloadClosed = 0;
  /** Connections that were told to end because of overload. */
  keepAliveDisabled = 0;

  complete(status: number): void {
    this.completed[status >= 100 && status < 600 ? Math.trunc(status / 100) : 0]!++;
  }
}
