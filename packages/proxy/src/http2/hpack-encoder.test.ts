import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeaderName, HeaderNames } from '../http/header-names.ts';
import { ManualTurn } from '../http/testing/manual-turn.ts';
import { Wire } from '../http/testing/wire.ts';
import { TurnWriter } from '../net/turn-writer.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';

/** An encoder and the decoder of its peer. */
class Pair {
  readonly encoder: HpackEncoder;
  readonly #decoder: HpackDecoder;
  readonly #wire = new Wire();
  readonly #turn = new ManualTurn();
  readonly #writer: TurnWriter;

  constructor(encoderBytes = 4096, decoderBytes = 4096) {
    this.#writer = new TurnWriter(this.#turn.turn, this.#wire);
    this.encoder = new HpackEncoder(this.#writer, encoderBytes);
    this.#decoder = new HpackDecoder(new HeaderNames(), decoderBytes);
  }

  /** The block of these fields, hex, and what the peer makes of it. */
  send(fields: readonly (readonly [string, string, boolean?])[]): { hex: string; fields: [string, string, boolean][] } {
    this.#writer.reserve(16_000);
    this.encoder.begin();
    for (const [name, value, never = false] of fields) this.encoder.field(name, value, never);
    this.#turn.end();
    const bytes = Buffer.from(this.#wire.take(), 'latin1');
    const got: [string, string, boolean][] = [];
    const sink = { add: (name: HeaderName, value: string, never: boolean) => void got.push([name.wire, value, never]) };
    expect(this.#decoder.decode(bytes, 0, bytes.length, sink)).toBe(true);
    return { hex: bytes.toString('hex'), fields: got };
  }
}

describe('HpackEncoder', () => {
  it('names what is in the static table', () => {
    const pair = new Pair();
    expect(
      pair.send([
        [':method', 'GET'],
        [':path', '/'],
        [':scheme', 'https'],
        [':status', '200'],
      ]).hex,
    ).toBe('82848788');
  });

  it('names what it has sent before', () => {
    const pair = new Pair();
    const fields: [string, string][] = [
      [':authority', 'order-service:8080'],
      ['user-agent', 'curl/8'],
      ['x-own', 'value'],
    ];
    expect(pair.send(fields).hex.length).toBeGreaterThan(80);
    const again = pair.send(fields);
    expect(again.hex).toBe('c0bfbe');
    expect(again.fields).toEqual(fields.map(([name, value]) => [name, value, false]));
  });

  it('lower-cases names and leaves out what HTTP/2 has no place for', () => {
    const pair = new Pair();
    expect(
      pair.send([
        ['X-Own', 'A'],
        ['Connection', 'x'],
        ['keep-alive', 'x'],
        ['Proxy-Connection', 'x'],
        ['Transfer-Encoding', 'chunked'],
        ['Upgrade', 'x'],
        ['HTTP2-Settings', 'x'],
        ['Host', 'a'],
        ['x-OWN', 'B'],
      ]).fields,
    ).toEqual([
      ['x-own', 'A', false],
      ['x-own', 'B', false],
    ]);
  });

  it.each(['authorization', 'Cookie', 'set-cookie', 'x-api-key'])('never lets %s into a table', (name) => {
    const pair = new Pair();
    const first = pair.send([[name, 'secret']]);
    expect(first.fields).toEqual([[name.toLowerCase(), 'secret', true]]);
    expect(pair.send([[name, 'secret']]).hex).toBe(first.hex);
  });

  it('passes on what came as never indexed', () => {
    const pair = new Pair();
    const first = pair.send([['x-own', 'secret', true]]);
    expect(first.fields).toEqual([['x-own', 'secret', true]]);
    expect(pair.send([['x-own', 'secret', true]]).hex).toBe(first.hex);
  });

  it('does not let what differs every time push out what does not', () => {
    const pair = new Pair();
    const common: [string, string][] = [
      ['user-agent', 'curl/8'],
      ['accept', 'application/json'],
    ];
    for (let i = 0; i < 300; i++) {
      pair.send([...common, ['x-request-id', `${i}`.repeat(9)], ['traceparent', `00-${i}`], ['x-invented-by-the-application', `${i}`.repeat(20)]]);
    }
    expect(pair.send(common).hex).toHaveLength(4);
  });

  it('heeds the table size that the peer gives, and says so', () => {
    const pair = new Pair();
    pair.send([['a', 'b']]);
    pair.encoder.setPeerTableBytes(0);
    expect(pair.send([['a', 'b']]).hex).toMatch(/^20/);
    pair.encoder.setPeerTableBytes(100);
    pair.encoder.setPeerTableBytes(60);
    pair.encoder.setPeerTableBytes(80);
    // The smallest in between, then the last (RFC 7541 section 4.2).
    expect(pair.send([['a', 'b']]).hex).toMatch(/^3f1d3f31/);
    expect(pair.send([['a', 'b']]).hex).toBe('be');
    pair.encoder.setPeerTableBytes(1_000_000);
    expect(pair.send([['a', 'b']]).hex).toMatch(/^3fe11f/);
  });

  it('may have a smaller table than the peer allows from the begin', () => {
    const pair = new Pair(0);
    expect(pair.send([['a', 'b']]).hex).toMatch(/^20/);
    expect(pair.send([['a', 'b']]).fields).toEqual([['a', 'b', false]]);
  });

  it('does not grow with what peers invent', () => {
    const { encoder } = new Pair();
    const names = (encoder as unknown as { names: Map<string, unknown> }).names;
    const pair = new Pair();
    for (let i = 0; i < 3000; i++) {
      // Spellings of one name, new names, and very long ones.
      const spelling = [...'x-spelling-of-name'].map((char, bit) => ((i >> bit) & 1 ? char.toUpperCase() : char)).join('');
      pair.send([
        [spelling, 'a'],
        [`x-invented-${i}`, 'a'],
        [`x-${i}-`.padEnd(200, 'y'), 'a'],
      ]);
    }
    const grown = (pair.encoder as unknown as { names: Map<string, unknown> }).names;
    expect(grown.size).toBeLessThan(1100);
    expect(names.size).toBeLessThan(100);
    expect(Math.max(...[...grown.keys()].map((name) => name.length))).toBeLessThan(100);
  });

  it('is read as what was given, by a peer of any table size', () => {
    const name = fc.constantFrom('a', 'B', 'x-own', 'user-agent', ':path', ':status', 'cookie', 'x-request-id', 'accept-encoding');
    const value = fc.oneof(fc.constantFrom('', '/', '200', 'gzip, deflate', 'v'.repeat(600)), fc.string({ unit: 'binary-ascii', maxLength: 200 }));
    const block = fc.record({
      fields: fc.array(fc.tuple(name, value, fc.boolean()), { maxLength: 12 }),
      size: fc.option(fc.constantFrom(0, 33, 100, 4096, 65_536), { freq: 5 }),
    });
    fc.assert(
      fc.property(fc.array(block, { maxLength: 20 }), fc.constantFrom(0, 64, 1000, 4096, 16_384), (blocks, encoderBytes) => {
        const pair = new Pair(encoderBytes, 65_536);
        for (const { fields, size } of blocks) {
          if (size !== null) pair.encoder.setPeerTableBytes(size);
          expect(pair.send(fields).fields.map(([name, value]) => [name, value])).toEqual(fields.map(([name, value]) => [name.toLowerCase(), value]));
        }
      }),
      { numRuns: 300 },
    );
  });
});
