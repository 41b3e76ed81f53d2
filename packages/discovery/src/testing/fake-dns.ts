import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import type { DnsServer } from '../dns/dns-client.ts';

/** "A 127.0.0.1", "AAAA ::1", "SRV 0 10 8080 a.example", "CNAME b.example", "SOA 60" (its minimum). */
export interface ZoneRecord {
  readonly name: string;
  readonly ttlS: number;
  readonly data: string;
}

export interface Asked {
  readonly name: string;
  readonly type: string;
  readonly over: 'udp' | 'tcp';
}

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33 };

/** A DNS server on loopback that says what a test tells it to. */
export class FakeDns {
  /** In the order of its answers. */
  zone: ZoneRecord[] = [];
  /** What goes with each answer about services. */
  additional: ZoneRecord[] = [];
  /** 2: SERVFAIL. */
  rcode = 0;
  /** Names of which it says SERVFAIL. */
  readonly refuses = new Set<string>();
  silent = false;
  truncates = false;
  /** Gives three records at most by UDP, as a Consul does. */
  cutsShort = false;
  /** Ends connections with no word. */
  withoutTcp = false;
  /** Knows no additional records in a question. */
  withoutEdns = false;
  /** What becomes of an answer on its way. */
  shortens: (answer: Buffer) => Buffer = (answer) => answer;
  /** Datagrams that are sent before the answer. */
  forge: (query: Buffer, answer: Buffer) => Buffer[] = () => [];
  /** Sees each datagram, and the port that it came from. */
  onQuery: (query: Buffer, port: number) => void = () => {};
  connections = 0;
  readonly asked: Asked[] = [];
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  #waiting: (() => void)[] = [];

  private constructor(udp: UdpSocket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (query, { port, address }) => {
      this.onQuery(query, port);
      const answer = this.#answer(query, 'udp');
      if (answer !== undefined) for (const message of [...this.forge(query, answer), this.shortens(answer)]) udp.send(message, port, address);
    });
    tcp.on('connection', (socket) => {
      this.connections += 1;
      socket.on('error', () => {});
      if (this.withoutTcp) {
        socket.destroy();
        return;
      }
      socket.on('data', (data: Buffer) => {
        const answer = this.#answer(data.subarray(2), 'tcp');
        if (answer !== undefined) socket.end(Buffer.concat([uint16(answer.length), answer]));
      });
    });
  }

  static async start(): Promise<FakeDns> {
    for (;;) {
      const tcp = createServer().listen(0, '127.0.0.1');
      await once(tcp, 'listening');
      const udp = createSocket('udp4');
      try {
        udp.bind((tcp.address() as { port: number }).port, '127.0.0.1');
        await once(udp, 'listening');
        return new FakeDns(udp, tcp);
      } catch {
        // That port is somebody's for UDP.
        tcp.close();
      }
    }
  }

  get server(): DnsServer {
    return { host: '127.0.0.1', port: this.#udp.address().port };
  }

  /** Resolves once it has been asked so often. */
  async untilAsked(times: number): Promise<void> {
    while (this.asked.length < times) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  stop(): void {
    this.#udp.close();
    this.#tcp.close();
  }

  #answer(query: Buffer, over: 'udp' | 'tcp'): Buffer | undefined {
    let at = 12;
    const labels: string[] = [];
    while (query[at] !== 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!));
      at += 1 + query[at]!;
    }
    const number = query.readUInt16BE(at + 1);
    const question = query.subarray(12, at + 5);
    const name = labels.join('.');
    const type = Object.keys(TYPES).find((known) => TYPES[known] === number) ?? '';
    this.asked.push({ name, type, over });
    for (const resume of this.#waiting.splice(0)) resume();
    if (this.silent) return undefined;
    const names = [name];
    for (const { data } of this.zone.filter((record) => names.includes(record.name) && record.data.startsWith('CNAME '))) names.push(data.slice(6));
    const of = (wanted: string): ZoneRecord[] => this.zone.filter((record) => names.includes(record.name) && record.data.startsWith(`${wanted} `));
    const truncated = this.truncates && over === 'udp';
    const failure = this.refuses.has(name) ? 2 : this.withoutEdns && query.readUInt16BE(10) > 0 ? 1 : this.rcode;
    const found = failure === 0 && !truncated ? [...of('CNAME'), ...of(type)] : [];
    const answers = this.cutsShort && over === 'udp' ? found.slice(0, 3) : found;
    const authority = answers.length === 0 && failure === 0 ? of('SOA') : [];
    const additional = type === 'SRV' && answers.length > 0 ? this.additional : [];
    const exists = this.zone.some((record) => names.includes(record.name) && !record.data.startsWith('SOA '));
    const rcode = failure !== 0 || exists ? failure : 3;
    const header = Buffer.concat([
      query.subarray(0, 2),
      uint16(0x8180 | rcode | (truncated ? 0x0200 : 0)),
      ...[1, answers.length, authority.length, additional.length].map(uint16),
    ]);
    return Buffer.concat([header, question, ...[...answers, ...authority, ...additional].map(encode)]);
  }
}

function encode({ name, ttlS, data }: ZoneRecord): Buffer {
  const [type = '', ...words] = data.split(' ');
  const bytes = dataOf(type, words);
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(ttlS);
  return Buffer.concat([encodeName(name), uint16(TYPES[type]!), uint16(1), ttl, uint16(bytes.length), bytes]);
}

function dataOf(type: string, words: readonly string[]): Buffer {
  switch (type) {
    case 'A':
      return Buffer.from(words[0]!.split('.').map(Number));
    case 'AAAA': {
      const [before = [], after = []] = words[0]!.split('::').map((half) => half.split(':').filter((group) => group !== ''));
      const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
      return Buffer.concat([...before, ...zeros, ...after].map((group) => uint16(Number.parseInt(group, 16))));
    }
    case 'SRV':
      return Buffer.concat([...words.slice(0, 3).map((word) => uint16(Number(word))), encodeName(words[3]!)]);
    case 'CNAME':
      return encodeName(words[0]!);
    default: {
      const numbers = Buffer.alloc(20);
      numbers.writeUInt32BE(Number(words[0]), 16);
      return Buffer.concat([encodeName('ns'), encodeName('admin'), numbers]);
    }
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]), Buffer.from([0])]);
}

function uint16(number: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(number);
  return bytes;
}
