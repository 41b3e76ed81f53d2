/** Where what a transport receives goes: a codec, a TCP proxy, an inspector. */
export interface ByteSink {
  /** `buffer` is only valid during the call. */
  receive(buffer: Buffer, start: number, end: number): void;
  /** The peer's FIN; our half stays open. */
  receiveEnd(): void;
  /** Both halves are gone. Called once. */
  transportClosed(detail: string): void;
  transportDrained(): void;
}

/** Stands for a sink where there is none yet, or none any more. */
export const SILENT: ByteSink = { receive: () => {}, receiveEnd: () => {}, transportClosed: () => {}, transportDrained: () => {} };
