import { rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { CliError, describe, ExitCode } from '../error.ts';

/** What `rig demo kill payment-service-2` asks of the demo that runs. */
export type DemoCall = (verb: string, args: readonly string[]) => Promise<string>;

/** The running demo's own socket, for the experiments that are no configuration. */
export function serveDemo(socketPath: string, call: DemoCall): Promise<Server> {
  rmSync(socketPath, { force: true });
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://demo');
    const args = url.searchParams.getAll('arg');
    call(url.pathname.slice(1), args).then(
      (text) => response.end(text),
      (error: unknown) => {
        response.statusCode = 400;
        response.end(describe(error));
      },
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, () => resolve(server));
  });
}

export function askDemo(socketPath: string, verb: string, args: readonly string[]): Promise<string> {
  const query = new URLSearchParams(args.map((arg) => ['arg', arg]));
  return new Promise((resolve, reject) => {
    request({ socketPath, path: `/${encodeURIComponent(verb)}?${query}`, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new CliError(text))));
    })
      .on('error', (cause: NodeJS.ErrnoException) =>
        reject(
          cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED'
            ? new CliError('no demo is running', { where: socketPath, next: '`npm start` runs one', exitCode: ExitCode.unreachable, cause })
            : cause,
        ),
      )
      .end();
  });
}
