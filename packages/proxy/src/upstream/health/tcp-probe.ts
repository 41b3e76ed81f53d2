import type { Runtime } from '../../engine/runtime.ts';
import type { ByteSink } from '../../net/byte-sink.ts';
import type { TcpCheck } from '../../xds/health-check-config.ts';
import { UpstreamTransport, type UpstreamTransportEvents } from '../upstream-transport.ts';
import { holdsInOrder, type Probe, type ProbeEvents, type ProbeTarget } from './probe.ts';

/** Of an answer that does not match yet; more is not an answer. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** TCP: connects, sends, and waits for the pieces. As in Envoy an idle connection that is closed is a failure too. */
export class TcpProbe implements Probe {
  readonly #runtime: Runtime;
  readonly #check: TcpCheck;
  readonly #target: ProbeTarget;
  readonly #reuse: boolean;
  readonly #events: ProbeEvents;
  #connection: ProbeConnection | null = null;

  constructor(runtime: Runtime, check: TcpCheck, target: ProbeTarget, reuse: boolean, events: ProbeEvents) {
    this.#runtime = runtime;
    this.#check = check;
    this.#target = target;
    this.#reuse = reuse;
    this.#events = events;
  }

  check(): void {
    if (this.#connection === null) {
      this.#connection = new ProbeConnection(this.#runtime, this);
      this.#connection.open(this.#target);
    } else this.#connection.send(this.#check.send);
  }

  giveUp(): void {
    this.close();
  }

  close(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }

  onOpen(connection: ProbeConnection): void {
    if (this.#check.receive.length === 0) {
      this.close();
      this.#events.onPassed(false);
    } else connection.send(this.#check.send);
  }

  onBytes(connection: ProbeConnection): void {
    if (!holdsInOrder(connection.received, this.#check.receive)) {
      if (connection.received.length > MAX_ANSWER_BYTES) this.onClosed(connection, false);
      return;
    }
    connection.received = NOTHING;
    if (!this.#reuse) this.close();
    this.#events.onPassed(false);
  }

  onClosed(connection: ProbeConnection, timeout: boolean): void {
    if (this.#connection !== connection) return;
    this.close();
    this.#events.onFailed(timeout ? 'network-timeout' : 'network', false, false);
  }
}

const NOTHING = Buffer.alloc(0);

class ProbeConnection implements UpstreamTransportEvents, ByteSink {
  readonly #probe: TcpProbe;
  readonly #transport: UpstreamTransport;
  #open = false;
  #closed = false;
  received: Buffer = NOTHING;

  constructor(runtime: Runtime, probe: TcpProbe) {
    this.#probe = probe;
    this.#transport = new UpstreamTransport(runtime, this);
  }

  open({ address, socket, timeoutMs, how }: ProbeTarget): void {
    this.#transport.connect(address, socket, '', timeoutMs, how);
  }

  send(bytes: Buffer): void {
    if (bytes.length > 0) this.#transport.transport.write(bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#open) this.#transport.transport.destroy();
    else this.#transport.abort();
  }

  onOpen(): void {
    this.#open = true;
    this.#transport.sink = this;
    this.#probe.onOpen(this);
  }

  onOpenFailed(timeout: boolean): void {
    this.#closed = true;
    this.#probe.onClosed(this, timeout);
  }

  receive(buffer: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    this.received = Buffer.concat([this.received, buffer.subarray(start, end)]);
    this.#probe.onBytes(this);
  }

  receiveEnd(): void {
    this.transportClosed();
  }

  transportClosed(): void {
    if (!this.#closed) this.#probe.onClosed(this, false);
  }

  transportDrained(): void {}
}
