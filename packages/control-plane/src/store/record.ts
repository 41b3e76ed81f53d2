import { crc32 } from 'node:zlib';
import { StoreError } from './store-error.ts';

const CHECKSUM_BYTES = 4;

/** JSON with a checksum before it: a flipped bit on the disk is found, not believed. */
export function encodeRecord(value: unknown): Uint8Array {
  const json = Buffer.from(JSON.stringify(value));
  const record = Buffer.allocUnsafe(CHECKSUM_BYTES + json.length);
  record.writeUInt32LE(crc32(json), 0);
  json.copy(record, CHECKSUM_BYTES);
  return record;
}

/** Throws a `StoreError` BROKEN that names the key. */
export function decodeRecord<T>(key: string, record: Uint8Array): T {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  const json = bytes.subarray(CHECKSUM_BYTES);
  if (bytes.length < CHECKSUM_BYTES || crc32(json) !== bytes.readUInt32LE(0)) {
    throw new StoreError('BROKEN', `The store's record ${key} is damaged: its checksum is wrong.`, 'Put a backup of the store in its place.');
  }
  return JSON.parse(json.toString()) as T;
}
