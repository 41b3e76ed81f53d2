import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HeaderList } from '../../http/message.ts';
import { listener, routeTo, typed } from '../../testing/messages.ts';
import type { Call } from '../../testing/test-client.ts';
import { TestEngine } from '../../testing/test-engine.ts';
import type { TestUpstream } from '../../testing/test-upstream.ts';
import { encodingQuality } from './accept-encoding.ts';

const HTTP = 'envoy.extensions.filters.http';
const TEXT = 'content '.repeat(50);
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

let engine: TestEngine;
let a: TestUpstream;

beforeEach(() => {
  engine = new TestEngine();
  a = engine.upstream('a', { http2: true });
  engine.cluster('c', { endpoints: ['a'], http2: true });
});
afterEach(async () => {
  expect(await engine.close()).toEqual([]);
});

const compressor = (library: string, fields: JsonObject = {}): JsonObject => ({
  name: library,
  typedConfig: typed(`${HTTP}.compressor.v3.Compressor`, {
    compressorLibrary: {
      name: library,
      typedConfig: typed(`envoy.extensions.compression.${library}.compressor.v3.${library === 'gzip' ? 'Gzip' : library === 'brotli' ? 'Brotli' : 'Zstd'}`),
    },
    ...fields,
  }),
});
const decompressor = (fields: JsonObject = {}): JsonObject => ({
  name: 'decompressor',
  typedConfig: typed(`${HTTP}.decompressor.v3.Decompressor`, {
    decompressorLibrary: { name: 'gzip', typedConfig: typed('envoy.extensions.compression.gzip.decompressor.v3.Gzip') },
    ...fields,
  }),
});

/** zlib works on threads of its own. */
async function over(call: Call): Promise<Call> {
  while (!call.over) await engine.settle();
  return call;
}
const ask = (headers: HeaderList, path = '/'): Promise<Call> => over(engine.client('in').send({ path, headers }));

describe('compressor', () => {
  it.each([
    ['gzip', 'gzip', gunzipSync],
    ['brotli', 'br', brotliDecompressSync],
    ['zstd', 'zstd', zstdDecompressSync],
  ] as const)('%s: a client that accepts it gets it, with the head as it has to be', async (library, encoding, undo) => {
    a.answer((received) =>
      received.respond(200, { headers: ['content-type', 'text/plain', 'content-length', String(TEXT.length), 'etag', '"1"'], body: TEXT }),
    );
    await engine.listener('in', { routes: [routeTo('c')], filters: [compressor(library)] });
    const packed = await ask(['accept-encoding', encoding]);
    expect([packed.header('content-encoding'), packed.header('vary'), packed.header('etag')]).toEqual([encoding, 'Accept-Encoding', 'W/"1"']);
    expect(packed.header('content-length')).toBeUndefined();
    expect(undo(bytes(packed.body)).toString()).toBe(TEXT);
    const plain = await ask([]);
    expect([plain.header('content-encoding'), plain.header('vary'), plain.header('etag'), plain.body]).toEqual([undefined, 'Accept-Encoding', '"1"', TEXT]);
  });

  it.each<[string, HeaderList, string]>([
    ['what is short', ['content-type', 'text/plain', 'content-length', '5'], 'short'],
    ['what is packed already', ['content-type', 'text/plain', 'content-encoding', 'br'], TEXT],
    ['pictures', ['content-type', 'image/png'], TEXT],
    ['what must not be changed', ['content-type', 'text/plain', 'cache-control', 'public, no-transform'], TEXT],
  ])('leaves %s as it is', async (_what, headers, body) => {
    a.answer((received) => received.respond(200, { headers, body }));
    await engine.listener('in', { routes: [routeTo('c')], filters: [compressor('gzip')] });
    const call = await ask(['accept-encoding', 'gzip']);
    expect(call.body).toBe(body);
  });

  it('each piece of a stream leaves when it comes', async () => {
    await engine.listener('in', { routes: [routeTo('c')], filters: [compressor('gzip')] });
    const call = engine.client('in').send({ headers: ['accept-encoding', 'gzip'] });
    await engine.until(() => a.requests.length === 1);
    a.last.begin(200, ['content-type', 'text/plain']);
    a.last.write('first');
    while (call.body === '') await engine.settle();
    const before = call.body.length;
    a.last.write(' second', true);
    await over(call);
    expect(call.body.length).toBeGreaterThan(before);
    expect(gunzipSync(bytes(call.body)).toString()).toBe('first second');
  });

  it('of several the one that the client wants most is taken', async () => {
    a.answer((received) => received.respond(200, { headers: ['content-type', 'text/plain'], body: TEXT }));
    await engine.listener('in', { routes: [routeTo('c')], filters: [compressor('gzip'), compressor('brotli')] });
    const encodings = [];
    for (const accepted of ['gzip, br', 'gzip;q=0.5, br', 'br;q=0.5, gzip', 'br;q=0, gzip;q=0', '*'])
      encodings.push((await ask(['accept-encoding', accepted])).header('content-encoding'));
    expect(encodings).toEqual(['gzip', 'br', 'gzip', undefined, 'gzip']);
  });

  it('a route may do without, and the application need not hear what the client accepts', async () => {
    a.answer((received) => received.respond(200, { headers: ['content-type', 'text/plain'], body: TEXT }));
    const off = { gzip: typed(`${HTTP}.compressor.v3.CompressorPerRoute`, { disabled: true }) };
    await engine.listener('in', {
      routes: [{ ...routeTo('c', {}, { typedPerFilterConfig: off }), match: { path: '/off' } }, routeTo('c')],
      filters: [compressor('gzip', { responseDirectionConfig: { removeAcceptEncodingHeader: true } })],
    });
    expect((await ask(['accept-encoding', 'gzip'], '/off')).body).toBe(TEXT);
    await ask(['accept-encoding', 'gzip']);
    expect(a.last.header('accept-encoding')).toBeUndefined();
  });

  it('requests too, where it is told to', async () => {
    a.answer((received) => received.respond(200));
    await engine.listener('in', { routes: [routeTo('c')], filters: [compressor('gzip', { requestDirectionConfig: { commonConfig: {} } })] });
    const call = engine.client('in').send({ method: 'POST', headers: ['content-type', 'application/json'], body: TEXT });
    await over(call);
    expect([a.last.header('content-encoding'), gunzipSync(bytes(a.last.body)).toString()]).toEqual(['gzip', TEXT]);
  });
});

describe('decompressor', () => {
  it('undoes what a client and an application have packed', async () => {
    a.answer((received) => received.respond(200, { headers: ['content-encoding', 'gzip'], body: gzipSync(TEXT).toString('latin1') }));
    await engine.listener('in', { routes: [routeTo('c')], filters: [decompressor()] });
    const call = engine.client('in').send({ method: 'POST', headers: ['content-encoding', 'gzip'], body: gzipSync(TEXT).toString('latin1') });
    await over(call);
    expect([a.last.body, a.last.header('content-encoding'), a.last.header('accept-encoding')]).toEqual([TEXT, undefined, 'gzip']);
    expect([call.body, call.header('content-encoding')]).toEqual([TEXT, undefined]);
  });

  it('leaves other encodings alone', async () => {
    const packed = brotliCompressSync(TEXT).toString('latin1');
    a.answer((received) => received.respond(200, { headers: ['content-encoding', 'br'], body: packed }));
    await engine.listener('in', { routes: [routeTo('c')], filters: [decompressor()] });
    expect((await ask([])).body).toBe(packed);
  });

  it.each([
    ['what is none of it', 'nonsense'],
    ['a bomb', gzipSync(Buffer.alloc(50_000_000)).toString('latin1')],
  ])('ends a request with %s', async (_what, body) => {
    let received = 0;
    a.onRequest = (request) => {
      request.onChange = () => {
        received = request.body.length;
      };
    };
    await engine.listener('in', { routes: [routeTo('c')], filters: [decompressor()] });
    const call = engine.client('in').send({ method: 'POST', headers: ['content-encoding', 'gzip'], body });
    await over(call);
    expect([call.status, engine.last.details]).toEqual([400, expect.stringMatching(/^decompression_failed/)]);
    expect(received).toBeLessThan(10_000_000);
  });
});

it.each([
  ['gzip, br', 'gzip', 1],
  ['GZIP;Q=0.3', 'gzip', 0.3],
  ['br', 'gzip', 0],
  ['*;q=0.1', 'gzip', 0.1],
  ['gzip;q=0, *', 'gzip', 0],
])('%s wants %s with %s', (accepted, encoding, expected) => {
  expect(encodingQuality(accepted, encoding)).toBe(expected);
});

it('an unknown library is refused', () => {
  const filter = {
    name: 'x',
    typedConfig: typed(`${HTTP}.compressor.v3.Compressor`, { compressorLibrary: { name: 'x', typedConfig: typed(`${HTTP}.cors.v3.Cors`) } }),
  };
  expect(engine.listeners.compile(listener('in', { routes: [routeTo('c')], filters: [filter] }))).toContain('compressor_library');
});
