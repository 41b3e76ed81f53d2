import zlib from 'node:zlib';
import type { TypedExtensionConfig } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import { BrotliSchema as BrotliCompressor } from '@outrigger/xds/protos/envoy/extensions/compression/brotli/compressor/v3/brotli';
import { BrotliSchema as BrotliDecompressor } from '@outrigger/xds/protos/envoy/extensions/compression/brotli/decompressor/v3/brotli';
import {
  Gzip_CompressionLevel,
  Gzip_CompressionStrategy,
  GzipSchema as GzipCompressor,
} from '@outrigger/xds/protos/envoy/extensions/compression/gzip/compressor/v3/gzip';
import { GzipSchema as GzipDecompressor } from '@outrigger/xds/protos/envoy/extensions/compression/gzip/decompressor/v3/gzip';
import { ZstdSchema as ZstdCompressor } from '@outrigger/xds/protos/envoy/extensions/compression/zstd/compressor/v3/zstd';
import { ZstdSchema as ZstdDecompressor } from '@outrigger/xds/protos/envoy/extensions/compression/zstd/decompressor/v3/zstd';
import type { CompileReport } from '../../routing/compile-result.ts';
import { typeNameOf, unpack } from '../../xds/fields.ts';

/** What both of Node's compressors and decompressors are. */
export type ZlibStream = zlib.Gzip | zlib.Gunzip | zlib.BrotliCompress | zlib.BrotliDecompress | zlib.ZstdCompress | zlib.ZstdDecompress;

/** One way to compress, or to undo it. */
export interface CompressionLibrary {
  /** As in Content-Encoding and Accept-Encoding. */
  readonly encoding: string;
  /** Of the etag of what it makes. */
  start(): ZlibStream;
}

const LEVEL: Readonly<Record<number, number>> = {
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_1]: 1,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_2]: 2,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_3]: 3,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_4]: 4,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_5]: 5,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_6]: 6,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_7]: 7,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_8]: 8,
  [Gzip_CompressionLevel.COMPRESSION_LEVEL_9]: 9,
};
const STRATEGY: Readonly<Record<number, number>> = {
  [Gzip_CompressionStrategy.FILTERED]: zlib.constants.Z_FILTERED,
  [Gzip_CompressionStrategy.HUFFMAN_ONLY]: zlib.constants.Z_HUFFMAN_ONLY,
  [Gzip_CompressionStrategy.RLE]: zlib.constants.Z_RLE,
  [Gzip_CompressionStrategy.FIXED]: zlib.constants.Z_FIXED,
};
const DEFAULT_CHUNK_BYTES = 4096;
const DEFAULT_MEM_LEVEL = 5;
const DEFAULT_WINDOW_BITS = 12;
const DEFAULT_BROTLI_QUALITY = 3;
const DEFAULT_BROTLI_WINDOW_BITS = 18;

/** envoy.compression.{gzip,brotli,zstd}.compressor; null: an error was reported. */
export function compileCompressor(config: TypedExtensionConfig | undefined, path: string, report: CompileReport): CompressionLibrary | null {
  const any = config?.typedConfig;
  const at = `${path}.typed_config`;
  switch (typeNameOf(any)) {
    case GzipCompressor.typeName: {
      const gzip = unpack(any, GzipCompressor, at, report);
      const options = {
        level: LEVEL[gzip?.compressionLevel ?? 0] ?? zlib.constants.Z_DEFAULT_COMPRESSION,
        strategy: STRATEGY[gzip?.compressionStrategy ?? 0] ?? zlib.constants.Z_DEFAULT_STRATEGY,
        memLevel: gzip?.memoryLevel ?? DEFAULT_MEM_LEVEL,
        windowBits: gzip?.windowBits ?? DEFAULT_WINDOW_BITS,
        chunkSize: gzip?.chunkSize ?? DEFAULT_CHUNK_BYTES,
      };
      return { encoding: 'gzip', start: () => zlib.createGzip(options) };
    }
    case BrotliCompressor.typeName: {
      const brotli = unpack(any, BrotliCompressor, at, report);
      const options = {
        chunkSize: brotli?.chunkSize ?? DEFAULT_CHUNK_BYTES,
        params: {
          [zlib.constants.BROTLI_PARAM_QUALITY]: brotli?.quality ?? DEFAULT_BROTLI_QUALITY,
          [zlib.constants.BROTLI_PARAM_LGWIN]: brotli?.windowBits ?? DEFAULT_BROTLI_WINDOW_BITS,
        },
      };
      return { encoding: 'br', start: () => zlib.createBrotliCompress(options) };
    }
    case ZstdCompressor.typeName: {
      const zstd = unpack(any, ZstdCompressor, at, report);
      if (zstd?.dictionary !== undefined) report.error(`${at}.dictionary`, 'not supported by this proxy');
      const level = zstd?.compressionLevel;
      const options = {
        chunkSize: zstd?.chunkSize ?? DEFAULT_CHUNK_BYTES,
        params: level === undefined ? {} : { [zlib.constants.ZSTD_c_compressionLevel]: level },
      };
      return { encoding: 'zstd', start: () => zlib.createZstdCompress(options) };
    }
    default:
      report.error(path, `${typeNameOf(any) === '' ? 'a library' : typeNameOf(any)} is not supported by this proxy`);
      return null;
  }
}

/** envoy.compression.{gzip,brotli,zstd}.decompressor; null: an error was reported. */
export function compileDecompressor(config: TypedExtensionConfig | undefined, path: string, report: CompileReport): CompressionLibrary | null {
  const any = config?.typedConfig;
  switch (typeNameOf(any)) {
    case GzipDecompressor.typeName:
      return { encoding: 'gzip', start: () => zlib.createGunzip() };
    case BrotliDecompressor.typeName:
      return { encoding: 'br', start: () => zlib.createBrotliDecompress() };
    case ZstdDecompressor.typeName:
      return { encoding: 'zstd', start: () => zlib.createZstdDecompress() };
    default:
      report.error(path, `${typeNameOf(any) === '' ? 'a library' : typeNameOf(any)} is not supported by this proxy`);
      return null;
  }
}
