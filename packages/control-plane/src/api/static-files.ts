import { createReadStream, realpathSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
  '.map': 'application/json',
};

/** Sends a file of the dashboard; false where there is none of that name. Nothing outside the directory is ever read. */
export function serveStatic(directory: string, path: string, request: IncomingMessage, response: ServerResponse, status = 200): boolean {
  let file: string;
  try {
    const name = decodeURIComponent(path);
    if (name.includes('\0') || name.includes('\\')) return false;
    const root = realpathSync(directory);
    file = realpathSync(join(root, name === '/' ? 'index.html' : name));
    if (!file.startsWith(root + sep)) return false;
  } catch {
    return false;
  }
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return false;
  const etag = `"${stat.size.toString(36)}-${Math.round(stat.mtimeMs).toString(36)}"`;
  // Built files carry a hash in their name; the page itself is asked for each time.
  const immutable = /[-.][\w-]{8,}\.\w+$/.test(file) && extname(file) !== '.html';
  const headers = { etag, 'cache-control': immutable ? 'public, max-age=31536000, immutable' : 'no-cache' };
  if (status === 200 && request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers).end();
    return true;
  }
  response.writeHead(status, { ...headers, 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-length': stat.size });
  if (request.method === 'HEAD') response.end();
  else
    createReadStream(file)
      .on('error', () => response.destroy())
      .pipe(response);
  return true;
}
