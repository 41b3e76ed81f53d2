import dgram from 'node:dgram';
import { once } from 'node:events';

export interface DnsRecords {
  readonly addresses: readonly string[];
  readonly ttlS: number;
}

/** A DNS server over UDP with A records; what has none does not exist, 'fail' is SERVFAIL. */
export class DnsServer {
  readonly records = new Map<string, DnsRecords | 'fail'>();
  /** Names as they were asked for, with the time. */
  readonly asked: { readonly name: string; readonly atMs: number }[] = [];
  readonly #socket = dgram.createSocket('udp4');

  static async start(): Promise<DnsServer> {
    const server = new DnsServer();
    server.#socket.on('message', (query, from) => server.#socket.send(server.#answer(query), from.port, from.address));
    server.#socket.bind(0, '127.0.0.1');
    await once(server.#socket, 'listening');
    return server;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(query: Buffer): Buffer {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const isA = query.readUInt16BE(at + 1) === 1;
    const name = labels.join('.').toLowerCase();
    if (isA) this.asked.push({ name, atMs: performance.now() });
    const found = this.records.get(name);
    const records = found === undefined || found === 'fail' || !isA ? [] : found.addresses.map((address) => ({ address, ttlS: found.ttlS }));
    const head = Buffer.alloc(12);
    head.writeUInt16BE(query.readUInt16BE(0), 0);
    // An answer, with recursion, and its code: 0, SERVFAIL or NXDOMAIN.
    head.writeUInt16BE(0x8180 | (found === 'fail' ? 2 : found === undefined ? 3 : 0), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records.length, 6);
    const answers = records.map(({ address, ttlS }) => {
      const record = Buffer.alloc(16);
      // The name is that of the question.
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(1, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(ttlS, 6);
      record.writeUInt16BE(4, 10);
      record.set(address.split('.').map(Number), 12);
      return record;
    });
    return Buffer.concat([head, question, ...answers]);
  }
}
