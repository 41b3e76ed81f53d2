import type net from 'node:net';
import type { Transport } from '../http/transport.ts';
import type { ByteSink } from './byte-sink.ts';

export type Accept = (socket: net.Socket) => void;

/** The way between a socket and what serves it, where several workloads have one event loop. */
export interface Lane {
  /** What is to be written to, paused and resumed in place of the socket. */
  readonly transport: Transport;
  /** What the socket's bytes go to, so that they come to `sink`. */
  into(sink: ByteSink): ByteSink;
}

/** Lets what comes from outside into a proxy that is not alone in its process. */
export interface Gate {
  lane(socket: net.Socket): Lane;
  /** In place of what takes the accepted sockets of a listener. */
  accept(accept: Accept): Accept;
  /** Begins a TLS handshake, of a socket that is paused, now or when its time has come; then it may have been closed. */
  handshake(socket: net.Socket, begin: () => void): void;
  /** Work for a connection that no lane has yet. */
  run(run: () => void): void;
}
