// An open-loop load: requests leave at their times whether or not the ones before them have been answered, and each latency counts from the
// time at which it was due, so that a stall shows in all whom it held up (no coordinated omission).
//   node open-loop.mjs URL RATE SECONDS CONNECTIONS   prints {requests, requestsPerSecond, p50Ms, p99Ms, errors}
import { connect } from 'node:net';

const [url, rateText, secondsText, connectionsText] = process.argv.slice(2);
const { hostname, port, pathname, host } = new URL(url);
const rate = Number(rateText);
const seconds = Number(secondsText);
const text = `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const latencies = [];
let errors = 0;

/** One keep-alive connection; requests that find it busy wait in its line. */
class Connection {
  /** When each request that was sent, or waits, was due. */
  #due = [];
  #sent = 0;
  #buffer = '';
  #socket;

  constructor() {
    this.#open();
  }

  #open() {
    this.#socket = connect(Number(port), hostname);
    this.#socket.setEncoding('latin1').setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#read(chunk));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      if (this.#sent === 0) return;
      errors++;
      this.#due.shift();
      this.#sent = 0;
      this.#buffer = '';
      this.#open();
      this.#next();
    });
  }

  send(dueMs) {
    this.#due.push(dueMs);
    this.#next();
  }

  get waiting() {
    return this.#due.length;
  }

  #next() {
    if (this.#sent > 0 || this.#due.length === 0) return;
    this.#sent = 1;
    this.#socket.write(text);
  }

  #read(chunk) {
    this.#buffer += chunk;
    const end = this.#buffer.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#buffer)?.[1] ?? 0);
    if (this.#buffer.length < end + 4 + length) return;
    if (!this.#buffer.startsWith('HTTP/1.1 200')) errors++;
    this.#buffer = '';
    this.#sent = 0;
    latencies.push(performance.now() - this.#due.shift());
    this.#next();
  }

  close() {
    this.#sent = 0;
    this.#socket.destroy();
  }
}

const connections = Array.from({ length: Number(connectionsText) }, () => new Connection());
const startMs = performance.now() + 100;
let count = 0;
await new Promise((resolve) => {
  const tick = () => {
    const nowMs = performance.now();
    while (count < rate * seconds) {
      const dueMs = startMs + (count * 1000) / rate;
      if (dueMs > nowMs) break;
      // The one with the shortest line.
      let best = connections[count % connections.length];
      for (const one of connections) if (one.waiting < best.waiting) best = one;
      best.send(dueMs);
      count++;
    }
    if (count >= rate * seconds) setTimeout(resolve, 1000);
    else setTimeout(tick, 1);
  };
  tick();
});
for (const connection of connections) connection.close();
const sorted = latencies.sort((a, b) => a - b);
const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
console.log(JSON.stringify({ requests: sorted.length, requestsPerSecond: sorted.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), errors }));
process.exit(0);
