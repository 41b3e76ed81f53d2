// Where spans go (OTLP/HTTP): read and forgotten, on the load's core.
import { createServer } from 'node:http';

export function startCollector(port) {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('{}'));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () =>
      resolve({
        stop: () => {
          server.close();
          server.closeAllConnections();
        },
      }),
    );
  });
}
