// The application behind every target: nginx on the load's core, which answers 1 KiB.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCore, start, until } from '../measure.mjs';

export async function startBackend(nginx, directory, port) {
  mkdirSync(join(directory, 'www'), { recursive: true });
  writeFileSync(join(directory, 'www/1k'), 'x'.repeat(1024));
  writeFileSync(join(directory, 'www/1m'), 'x'.repeat(1 << 20));
  writeFileSync(
    join(directory, 'nginx.conf'),
    `${process.getuid() === 0 ? 'user root; ' : ''}daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/nginx.err;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  keepalive_requests 100000000; keepalive_timeout 3600s; open_file_cache max=16;
  server { listen 127.0.0.1:${port} backlog=4096; root ${directory}/www; location /r/ { try_files /1k =404; } } }
`,
  );
  const backend = start(loadCore, nginx, ['-e', join(directory, 'nginx.err'), '-p', directory, '-c', join(directory, 'nginx.conf')]);
  try {
    await until('nginx', async () => (await fetch(`http://127.0.0.1:${port}/1k`)).ok);
  } catch (error) {
    await backend.stop();
    throw error;
  }
  return backend;
}
