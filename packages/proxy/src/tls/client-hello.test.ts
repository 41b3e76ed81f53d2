import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { sniffClientHello } from './client-hello.ts';

/** The first flight of Node's own client. */
function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        server.close(() => resolve(bytes));
      });
    });
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      tls.connect({ ...options, host: '127.0.0.1', port: (server.address() as net.AddressInfo).port }).on('error', () => {});
    });
  });
}

describe('sniffClientHello', () => {
  it('reads SNI and ALPN of a real client, byte by byte', async () => {
    const hello = await helloOf({ servername: 'Outbound.example', ALPNProtocols: ['istio-h2', 'h2'] });
    for (let n = 0; n < hello.length; n++) expect(sniffClientHello(hello.subarray(0, n))).toBe('more');
    expect(sniffClientHello(hello)).toEqual({ serverName: 'outbound.example', applicationProtocols: ['istio-h2', 'h2'] });
    expect(sniffClientHello(Buffer.concat([hello, Buffer.from('more')]))).toMatchObject({ serverName: 'outbound.example' });
  });

  it('reads a hello that is split into small records', async () => {
    const hello = await helloOf({ servername: 'a.b' });
    const body = hello.subarray(5, 5 + hello.readUInt16BE(3));
    const records: Buffer[] = [];
    for (let at = 0; at < body.length; at += 100) {
      const part = body.subarray(at, at + 100);
      records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
    }
    expect(sniffClientHello(Buffer.concat(records))).toEqual({ serverName: 'a.b', applicationProtocols: [] });
  });

  it('tells plain text at once', () => {
    expect(sniffClientHello(Buffer.from('G'))).toBe('raw');
    expect(sniffClientHello(Buffer.from([22, 9]))).toBe('more');
    expect(sniffClientHello(Buffer.from([22, 9, 9]))).toBe('raw');
  });

  it('never throws, whatever is damaged', async () => {
    const hello = await helloOf({ servername: 'a.b', ALPNProtocols: ['h2'] });
    for (let at = 0; at < hello.length; at++) {
      for (const value of [0, 1, 127, 255]) {
        const bad = Buffer.from(hello);
        bad[at] = value;
        expect(() => sniffClientHello(bad)).not.toThrow();
      }
    }
    expect(sniffClientHello(Buffer.concat([Buffer.from([22, 3, 1, 255, 255, 1, 255, 255, 255]), hello]))).toBe('bad');
  });
});
