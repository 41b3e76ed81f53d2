import zlib from 'node:zlib';
import type { CodecSettings, ContentCodec } from '../filters/http-filter.ts';

const DEFAULT_CHUNK_BYTES = 16 * 1024;

/** Node's own compressors, on its thread pool. */
export function makeContentCodec({ kind, level, quality, strategy, memLevel, windowBits, chunkBytes = DEFAULT_CHUNK_BYTES }: CodecSettings): ContentCodec {
  const { constants } = zlib;
  const chunkSize = chunkBytes;
  switch (kind) {
    case 'gzip':
      return zlib.createGzip({ chunkSize, ...defined({ level, strategy, memLevel, windowBits }) });
    case 'gunzip':
      return zlib.createGunzip({ chunkSize });
    case 'brotli':
      return zlib.createBrotliCompress({
        chunkSize,
        params: defined({ [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: windowBits }),
      });
    case 'unbrotli':
      return zlib.createBrotliDecompress({ chunkSize });
    case 'zstd':
      return zlib.createZstdCompress({ chunkSize, params: defined({ [constants.ZSTD_c_compressionLevel]: level }) });
    case 'unzstd':
      return zlib.createZstdDecompress({ chunkSize });
  }
}

function defined(options: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(Object.entries(options).filter((entry): entry is [string, number] => entry[1] !== undefined));
}
