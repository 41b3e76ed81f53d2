import { get } from 'node:http';

const TIMEOUT_MS = 2_000;
export const MAX_PAGE_BYTES = 16 * 1024 * 1024;

/** Reads a page of a sidecar, within bounds of time and size. Rejects with what happened. */
export function fetchPage(hostPort: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(`http://${hostPort}${path}`, { timeout: TIMEOUT_MS, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        reject(new Error(`http://${hostPort}${path} answered ${response.statusCode}`));
        return;
      }
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_PAGE_BYTES) request.destroy(new Error(`http://${hostPort}${path} has more than ${MAX_PAGE_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    // `timeout` is of silence; a page that drips must end too.
    const limit = setTimeout(() => request.destroy(new Error(`http://${hostPort}${path} took more than ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    request.on('timeout', () => request.destroy(new Error(`http://${hostPort}${path} did not answer within ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
    request.on('close', () => clearTimeout(limit));
  });
}
