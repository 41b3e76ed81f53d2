// Load and a backend that cost little themselves, each as a process of its own, for tests of who starves whom.
//   serve PORT                                  answers every request with 200
//   flood PORT CONNECTIONS MS [PER_SECOND]      requests, eight at a time on each connection, as fast as they are answered, or so many a second in all
//   bulk PORT CONNECTIONS MS [BYTES_PER_SECOND] bytes on raw connections, which the other side drops
//   handshake PORT CONNECTIONS MS [PER_SECOND]  TLS handshakes
//   pace PORT EVERY_MS MS                       one request at a time on one connection, at fixed times
// Each prints a line of JSON at its end.
import { connect, createServer } from 'node:net';
import { setPriority } from 'node:os';
import { connect as tlsConnect } from 'node:tls';

const [mode, port, ...numbers] = process.argv.slice(2);
const [first = 0, ms = 0, perSecond = 0] = numbers.map(Number);
const request = Buffer.from('GET / HTTP/1.1\r\nHost: noise\r\n\r\n');
const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const head = 'HTTP/1.1 ';
const end = 'ok';

const to = () => connect({ host: '127.0.0.1', port: Number(port), noDelay: true });
const print = (figures) => process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));

const modes = {
  serve() {
    createServer({ noDelay: true }, (socket) => {
      let text = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        // What is no request is dropped: bulk.
        if (chunk.length > 16_384) return;
        text += chunk.toString('latin1');
        let at = text.indexOf('\r\n\r\n');
        for (; at >= 0; at = text.indexOf('\r\n\r\n')) {
          text = text.slice(at + 4);
          socket.write(answer);
        }
        if (text.length > 65_536) text = '';
      });
    }).listen(Number(port), '127.0.0.1', () => process.stdout.write('serving\n'));
  },
  flood() {
    setPriority(10);
    let done = 0;
    let failed = 0;
    const idle = [];
    const eight = Buffer.concat(Array(8).fill(request));
    const ask = (socket) => socket.write(eight);
    for (let i = 0; i < first; i++) {
      const socket = to();
      let open = 0;
      socket.on('connect', () => (perSecond === 0 ? ask(socket) : idle.push(socket)));
      socket.on('error', () => failed++);
      socket.on('data', (chunk) => {
        for (let at = chunk.indexOf(head); at >= 0; at = chunk.indexOf(head, at + 1)) open++;
        if (open < 8) return;
        open -= 8;
        done += 8;
        if (perSecond === 0) ask(socket);
        else idle.push(socket);
      });
    }
    if (perSecond > 0) {
      const startMs = performance.now();
      let sent = 0;
      const tick = () => {
        const due = ((performance.now() - startMs) * perSecond) / 1000;
        for (; sent < due && idle.length > 0; sent += 8) ask(idle.shift());
        if (sent < due - 100) sent = Math.floor(due);
        setTimeout(tick, 1);
      };
      tick();
    }
    setTimeout(() => print({ perSecond: Math.round((done * 1000) / ms), failed }), ms);
  },
  bulk() {
    setPriority(10);
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let bytes = 0;
    for (let i = 0; i < first; i++) {
      const socket = to();
      socket.on('error', () => {});
      socket.on('data', () => {});
      const send = () => {
        while (socket.write(chunk)) bytes += chunk.length;
        bytes += chunk.length;
        socket.once('drain', () => (perSecond === 0 ? send() : setTimeout(send, (chunk.length * first * 1000) / perSecond)));
      };
      socket.on('connect', send);
    }
    setTimeout(() => print({ perSecond: Math.round((bytes * 1000) / ms) }), ms);
  },
  handshake() {
    setPriority(10);
    let done = 0;
    const one = () => {
      const socket = tlsConnect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['istio', 'h2'] });
      // Ours has no certificate: the other side says so after its part of the work.
      socket.on('error', () => {});
      socket.on('secureConnect', () => {
        done++;
        socket.destroy();
      });
      if (perSecond === 0) socket.on('close', one);
    };
    if (perSecond === 0) for (let i = 0; i < first; i++) one();
    else setInterval(one, 1000 / perSecond);
    setTimeout(() => print({ perSecond: Math.round((done * 1000) / ms) }), ms);
  },
  pace() {
    const socket = to();
    const latencies = [];
    let sentMs = 0;
    let dueMs = performance.now();
    const endMs = dueMs + ms;
    const next = () => {
      if (performance.now() > endMs) {
        latencies.sort((one, other) => one - other);
        const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
        print({ count: latencies.length, p50: at(0.5), p90: at(0.9), p99: at(0.99) });
        return;
      }
      dueMs += first;
      setTimeout(
        () => {
          sentMs = performance.now();
          socket.write(request);
        },
        Math.max(0, dueMs - performance.now()),
      );
    };
    socket.on('connect', next);
    socket.on('error', (error) => {
      throw error;
    });
    socket.on('data', (chunk) => {
      if (!chunk.toString('latin1').endsWith(end)) return;
      latencies.push(performance.now() - sentMs);
      next();
    });
  },
};
modes[mode]();
