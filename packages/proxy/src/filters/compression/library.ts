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
import type { CodecSettings } from '../http-filter.ts';

/** One way to compress, or to undo it. */
export interface CompressionLibrary {
  /** As in Content-Encoding and Accept-Encoding. */
  readonly encoding: string;
  readonly codec: CodecSettings;
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
/** zlib.h's numbers; 0 is its default. */
const STRATEGY: Readonly<Record<number, number>> = {
  [Gzip_CompressionStrategy.FILTERED]: 1,
  [Gzip_CompressionStrategy.HUFFMAN_ONLY]: 2,
  [Gzip_CompressionStrategy.RLE]: 3,
  [Gzip_CompressionStrategy.FIXED]: 4,
};
/** Z_DEFAULT_COMPRESSION. */
const DEFAULT_LEVEL = -1;
const DEFAULT_ZSTD_LEVEL = 3;
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
      return {
        encoding: 'gzip',
        codec: {
          kind: 'gzip',
          level: LEVEL[gzip?.compressionLevel ?? 0] ?? DEFAULT_LEVEL,
          strategy: STRATEGY[gzip?.compressionStrategy ?? 0] ?? 0,
          memLevel: gzip?.memoryLevel ?? DEFAULT_MEM_LEVEL,
          windowBits: gzip?.windowBits ?? DEFAULT_WINDOW_BITS,
          chunkBytes: gzip?.chunkSize ?? DEFAULT_CHUNK_BYTES,
        },
      };
    }
    case BrotliCompressor.typeName: {
      const brotli = unpack(any, BrotliCompressor, at, report);
      return {
        encoding: 'br',
        codec: {
          kind: 'brotli',
          quality: brotli?.quality ?? DEFAULT_BROTLI_QUALITY,
          windowBits: brotli?.windowBits ?? DEFAULT_BROTLI_WINDOW_BITS,
          chunkBytes: brotli?.chunkSize ?? DEFAULT_CHUNK_BYTES,
        },
      };
    }
    case ZstdCompressor.typeName: {
      const zstd = unpack(any, ZstdCompressor, at, report);
      if (zstd?.dictionary !== undefined) report.error(`${at}.dictionary`, 'not supported by this proxy');
      return {
        encoding: 'zstd',
        codec: { kind: 'zstd', level: zstd?.compressionLevel ?? DEFAULT_ZSTD_LEVEL, chunkBytes: zstd?.chunkSize ?? DEFAULT_CHUNK_BYTES },
      };
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
      return { encoding: 'gzip', codec: { kind: 'gunzip' } };
    case BrotliDecompressor.typeName:
      return { encoding: 'br', codec: { kind: 'unbrotli' } };
    case ZstdDecompressor.typeName:
      return { encoding: 'zstd', codec: { kind: 'unzstd' } };
    default:
      report.error(path, `${typeNameOf(any) === '' ? 'a library' : typeNameOf(any)} is not supported by this proxy`);
      return null;
  }
}
