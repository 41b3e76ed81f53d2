import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AccessLogFormat, AccessLogWriter, compileJsonLog, compileTextLog, ISTIO_JSON_FORMAT, type JsonTemplate } from './access-log.ts';
import { EMPTY_STREAM } from './empty-stream.ts';

function json(template: { [key: string]: JsonTemplate }): AccessLogFormat {
  const result = compileJsonLog(template);
  if (!result.ok) throw new Error(result.message);
  return result.format;
}

describe('JSON line', () => {
  it("has Istio's names, with types and null", () => {
    const line = json(ISTIO_JSON_FORMAT).write({
      ...EMPTY_STREAM,
      responseCode: 200,
      durationMs: 3.7,
      method: 'GET',
      path: '/',
      bytesSent: 5,
      requestHeaders: ['X-Request-ID', 'i'],
    });
    expect(line.endsWith('}\n')).toBe(true);
    const record = JSON.parse(line) as Record<string, unknown>;
    expect(Object.keys(record)).toEqual(Object.keys(ISTIO_JSON_FORMAT));
    expect(record).toMatchObject({
      response_code: 200,
      duration: 3,
      method: 'GET',
      path: '/',
      bytes_sent: 5,
      request_id: 'i',
      upstream_host: null,
      response_flags: '-',
      start_time: '1970-01-01T00:00:00.000Z',
    });
  });

  it('nests, and writes values as they are', () => {
    const record = JSON.parse(
      json({ a: { b: ['%RESPONSE_CODE%', 1, true, null, {}, []] }, c: '%REQ(x)% %PROTOCOL%' }).write({
        ...EMPTY_STREAM,
        responseCode: 404,
        protocol: 'HTTP/2',
      }),
    ) as unknown;
    expect(record).toEqual({ a: { b: [404, 1, true, null, {}, []] }, c: '- HTTP/2' });
  });

  it('is JSON on one line whatever a peer sends', () => {
    const format = json({ 'a"b': '%REQ(:PATH)%', b: 'x %REQ(x)%' });
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        const line = format.write({ ...EMPTY_STREAM, path: text, requestHeaders: ['x', text] });
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(JSON.parse(line)).toEqual({ 'a"b': text === '' ? null : text, b: `x ${text === '' ? '-' : text}` });
      }),
    );
  });

  it('says of each stream what is its own, whatever the line before said', () => {
    const log = json({
      route: '%ROUTE_NAME%',
      code: '%RESPONSE_CODE%',
      body: '%LOCAL_REPLY_BODY%',
      agent: '%REQ(USER-AGENT):3%',
      both: '%REQ(:METHOD)% %REQ(:PATH)%',
      last: 1,
    });
    const values = fc.constantFrom('', 'a', '"', 'long text', '-');
    const stream = fc.record({
      routeName: values,
      responseCode: fc.constantFrom(-1, 0, 200),
      localReplyBody: values,
      method: values,
      path: values,
      agent: values,
    });
    fc.assert(
      fc.property(fc.array(stream, { maxLength: 8 }), (streams) => {
        for (const { agent, ...fields } of streams) {
          const info = { ...EMPTY_STREAM, ...fields, requestHeaders: ['user-agent', agent] };
          expect(JSON.parse(log.write(info))).toEqual({
            route: fields.routeName || null,
            code: fields.responseCode < 0 ? null : fields.responseCode,
            body: fields.localReplyBody,
            agent: agent.slice(0, 3) || null,
            both: `${fields.method || '-'} ${fields.path || '-'}`,
            last: 1,
          });
        }
      }),
    );
  });

  it('refuses what it does not know', () => {
    expect(compileJsonLog({ a: { b: '%NO_SUCH%' } })).toEqual({ ok: false, message: 'unknown command operator %NO_SUCH%' });
    let deep: JsonTemplate = 'x';
    for (let i = 0; i < 40; i++) deep = { a: deep };
    expect(compileJsonLog({ a: deep }).ok).toBe(false);
    expect(compileTextLog('%NO_SUCH%').ok).toBe(false);
  });
});

it('text line', () => {
  const result = compileTextLog('[%START_TIME%] %RESPONSE_CODE% %REQ(x)%\n');
  expect(result.ok && result.format.write({ ...EMPTY_STREAM, responseCode: 200 })).toBe('[1970-01-01T00:00:00.000Z] 200 -\n');
});

describe('writer', () => {
  it('joins lines until it is told to send them, or has enough', () => {
    const written: string[] = [];
    const writer = new AccessLogWriter({ write: (text) => written.push(text) > 0 });
    writer.write('a\n');
    writer.write('b\n');
    expect([written.length, writer.pending]).toEqual([0, true]);
    writer.flush();
    writer.flush();
    expect(written).toEqual(['a\nb\n']);
    for (let i = 0; i < 70; i++) writer.write('x'.repeat(1024));
    expect(written).toHaveLength(2);
  });

  it('waits for a slow sink, drops above its limit and counts', () => {
    const written: string[] = [];
    const writer = new AccessLogWriter({ write: (text) => written.push(text) < 0 }, 10);
    writer.write('12345');
    writer.flush();
    writer.write('1234567');
    writer.write('1234567');
    writer.flush();
    expect([written.length, writer.dropped]).toEqual([1, 1]);
    writer.drained();
    expect(written).toEqual(['12345', '1234567']);
  });
});
