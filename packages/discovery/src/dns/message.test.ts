import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeResponse, encodeQuery } from './message.ts';

/** A response of one question (a.example, SRV) with these records behind it. */
function response(records: readonly string[], counts: readonly [number, number, number] = [records.length, 0, 0], flags = '8180'): Buffer {
  const number = (value: number): string => value.toString(16).padStart(4, '0');
  return Buffer.from(`1234${flags}0001${counts.map(number).join('')}0161076578616d706c650000210001${records.join('')}`, 'hex');
}

const NAME = 'c00c';
const srv = (data: string, length: number): string => `${NAME}002100010000003c${length.toString(16).padStart(4, '0')}${data}`;

describe('a response', () => {
  test('with a compressed name in it', () => {
    // "b" and then what is at byte 14, "example".
    expect(decodeResponse(response([srv('0001000a1f900162c00e', 10)]))).toMatchObject({
      id: 0x1234,
      question: { name: 'a.example', type: 'SRV' },
      rcode: 0,
      answers: [{ type: 'SRV', name: 'a.example', ttlS: 60, priority: 1, weight: 10, port: 8080, target: 'b.example' }],
    });
  });

  test.each([
    ['20010db8000000000000000000000001', '2001:db8::1'],
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000010000000000000000', '2001:db8:0:1::'],
    ['20010db8000100020003000400050006', '2001:db8:1:2:3:4:5:6'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ])('has %s as %s', (hex, address) => {
    expect(decodeResponse(response([`${NAME}001c00010000003c0010${hex}`]))?.answers).toMatchObject([{ type: 'AAAA', address }]);
  });

  test('says how long "there is none" holds: no longer than its SOA itself', () => {
    const soa = `${NAME}000600010000001e0018${'c00c'}${'c00c'}${'00'.repeat(16)}00000e10`;
    expect(decodeResponse(response([soa], [0, 1, 0], '8183'))).toMatchObject({ rcode: 3, negativeTtlS: 30 });
  });

  test('with a TTL above 31 bits has none', () => {
    expect(decodeResponse(response([`${NAME}00010001ffffffff00047f000001`]))?.answers).toMatchObject([{ ttlS: 0, address: '127.0.0.1' }]);
  });

  test('keeps what it has beside records of other types and classes', () => {
    const txt = `${NAME}0010000100000000000403616263`;
    const chaos = `${NAME}000100030000003c00047f000001`;
    expect(decodeResponse(response([txt, chaos, `${NAME}000100010000003c00047f000002`]))?.answers).toMatchObject([{ address: '127.0.0.2' }]);
  });

  test.each([
    ['a question', response([], [0, 0, 0], '0100')],
    ['another operation', response([], [0, 0, 0], '9180')],
    ['a record that goes past the end', response([srv('0001000a1f90', 40)])],
    ['more records than it has', response([], [3, 0, 0])],
    ['more records than fit', response([], [65_535, 65_535, 65_535])],
    ['a pointer to itself', response([`c01b000100010000003c00047f000001`])],
    ['a pointer forward', response([`c0ff000100010000003c00047f000001`])],
    ['a SRV record that is shorter than its target', response([srv('0001000a1f900162c00e', 9)])],
    ['a SRV record that is longer than its target', response([srv('0001000a1f900162c00e00', 11)])],
    ['a SRV record without a target', response([srv('0001000a1f90', 6)])],
    ['an alias with something behind it', response([`${NAME}000500010000003c00050162c00e00`])],
    ['an answer to a question of another type', Buffer.from(response([]).toString('hex').replace('00210001', '00100001'), 'hex')],
    ['an answer to two questions', Buffer.from(response([]).toString('hex').replace('81800001', '81800002'), 'hex')],
    ['a name of more than 255 bytes', response([`${`3f${'61'.repeat(63)}`.repeat(4)}00000100010000003c00047f000001`])],
    ['a label of 64 bytes', response([`40${'61'.repeat(64)}00000100010000003c00047f000001`])],
    ['a name that goes past the end', response(['3f6161'])],
    ['an address of three bytes', response([`${NAME}000100010000003c00037f0000`])],
    ['a label with a dot in it', response([srv('0001000a1f9003612e6200', 11)])],
    ['a label with a control character', response([srv('0001000a1f90016200'.replace('0162', '010a'), 9)])],
    ['nothing', Buffer.alloc(0)],
  ])('that is %s is none', (_, message) => {
    expect(decodeResponse(message)).toBeUndefined();
  });

  test('that is cut off says so, and nothing else of it counts', () => {
    expect(decodeResponse(response([srv('0001000a1f900162c00e', 10)], [1, 0, 0], '8380'))).toMatchObject({ truncated: true, answers: [] });
  });

  test('that repeats no question is one all the same', () => {
    expect(decodeResponse(Buffer.from('123481810000000000000000', 'hex'))).toMatchObject({ id: 0x1234, question: undefined, rcode: 1 });
  });

  // Pieces of which messages are made, so that many of these are read far.
  const piece = fc.oneof(
    fc.constantFrom(NAME, 'c00e', '00', '0161', '3f', '000100010000003c00047f000001', srv('0001000a1f900162c00e', 10), `${NAME}0005000100000000`),
    fc.nat(0x3fff).map((at) => (0xc000 | at).toString(16)),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  );
  const counts = fc.tuple(fc.nat(9), fc.nat(3), fc.nat(9));
  const made = fc.tuple(fc.array(piece, { maxLength: 40 }), counts).map(([pieces, each]) => response(pieces, each));
  const whole = response([srv('0001000a1f900162c00e', 10), `${NAME}000100010000003c00047f000001`]);
  const changed = fc.tuple(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }), fc.nat(whole.length)).map(([changes, length]) => {
    const message = Buffer.from(whole.subarray(0, length));
    for (const [at, byte] of changes) if (at < length) message[at] = byte;
    return message;
  });

  test('may be any bytes: none is read to more than it has, or to what is no name', () => {
    const sane = ({ name }: { readonly name: string }): boolean =>
      name === '' || (name.length <= 253 && name.split('.').every(({ length }) => length > 0 && length < 64));
    fc.assert(
      fc.property(fc.oneof(made, changed, fc.uint8Array({ maxLength: 80 }).map(Buffer.from)), (message) => {
        const decoded = decodeResponse(message);
        if (decoded === undefined) return;
        const records = [...decoded.answers, ...decoded.additionals];
        expect(records.length).toBeLessThanOrEqual(message.readUInt16BE(6) + message.readUInt16BE(10));
        expect(records.length * 11).toBeLessThan(message.length);
        for (const record of records) {
          expect(sane(record) && (!('target' in record) || sane({ name: record.target })), JSON.stringify(record)).toBe(true);
          expect(!('address' in record) || isIP(record.address) === (record.type === 'A' ? 4 : 6), JSON.stringify(record)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

test.each(['', 'a..b', `${'a'.repeat(64)}.example`, Array.from({ length: 130 }, () => 'a').join('.')])('"%s" cannot be asked for', (name) => {
  expect(() => encodeQuery(1, name, 'A', true)).toThrow(RangeError);
});
