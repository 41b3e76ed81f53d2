// The applications behind every target, on the load's core: nginx, and grpc-go's interop server.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, loadCore, start, until } from '../measure.mjs';

/** `links` of a chain: each asks the next by its own port `next`, and the last answers. */
export async function startBackend(nginx, directory, port, links = []) {
  mkdirSync(join(directory, 'www'), { recursive: true });
  for (const [name, bytes] of [['1k', 1024], ['1m', 1 << 20], ...[0, 1_024, 16_384, 131_072, 1_048_576].map((bytes) => [`b${bytes}`, bytes])])
    writeFileSync(join(directory, 'www', name), 'x'.repeat(bytes));
  writeFileSync(
    join(directory, 'nginx.conf'),
    `${process.getuid() === 0 ? 'user root; ' : ''}daemon off; worker_processes 1; pid ${directory}/nginx.pid; error_log ${directory}/nginx.err;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy; fastcgi_temp_path ${directory}/fcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  keepalive_requests 100000000; keepalive_timeout 3600s; open_file_cache max=16;
  server { listen 127.0.0.1:${port} backlog=4096; root ${directory}/www; location /r/ { try_files /1k =404; } }
  ${links.map(({ application, next }, index) => link(index, application, next)).join('\n  ')} }
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

function link(index, port, next) {
  return `upstream next${index} { server 127.0.0.1:${next}; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port} backlog=4096; location / { proxy_pass http://next${index}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header traceparent $http_traceparent; } }`;
}

export async function startGrpcBackend(program, port) {
  const backend = start(loadCore, program, ['interop-server', `127.0.0.1:${port}`, '-']);
  try {
    await until('the gRPC backend', () =>
      answers({ protocol: 'grpc', path: '/grpc.testing.TestService/UnaryCall' }, `http://127.0.0.1:${port}/grpc.testing.TestService/UnaryCall`),
    );
  } catch (error) {
    await backend.stop();
    throw error;
  }
  return backend;
}
