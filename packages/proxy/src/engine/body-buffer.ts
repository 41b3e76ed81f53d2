/** Request content kept until a connection is there, and after that for a retry. Slices are copied: their source is shared. */
export class BodyBuffer {
  readonly chunks: Buffer[] = [];
  bytes = 0;

  add(buffer: Buffer, start: number, end: number): void {
    if (end === start) return;
    this.chunks.push(Buffer.from(buffer.subarray(start, end)));
    this.bytes += end - start;
  }
}
