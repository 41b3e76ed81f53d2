import { type IncomingHttpHeaders, request } from 'node:http';

export interface Raw {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  /** Sent one after the other, without a length. */
  readonly chunks: readonly (string | Buffer)[];
}

/** A request on a connection of its own; nothing of the answer is decoded. */
export function raw(port: number, asked: Partial<Raw>): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method: asked.method ?? 'GET', path: asked.path ?? '/', headers: asked.headers ?? {}, agent: false });
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    for (const chunk of asked.chunks ?? []) outgoing.write(chunk);
    outgoing.end();
  });
}
