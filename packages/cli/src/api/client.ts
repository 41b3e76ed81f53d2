import { request } from 'node:http';
import { userInfo } from 'node:os';
import type { ApiError, Message } from '@outrigger/control-plane/api';
import { CliError, ExitCode } from '../error.ts';

/** An answer of the control plane that is an error. `messages` are those of the resources that were sent. */
export class ApiFailure extends CliError {
  readonly status: number;
  readonly messages: readonly Message[];
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    const error = (body as Partial<ApiError>)?.error;
    super(error?.what ?? `the control plane answered ${status}`, { where: error?.where ?? '', next: error?.next ?? '' });
    this.status = status;
    this.messages = error?.messages ?? [];
    this.body = body;
  }
}

/** The control plane's HTTP API over its Unix socket. */
export class ApiClient {
  readonly socketPath: string;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  get<T>(path: string, timeoutMs = 10_000): Promise<T> {
    return this.call<T>('GET', path, undefined, timeoutMs);
  }

  post<T>(path: string, body: unknown, timeoutMs = 30_000): Promise<T> {
    return this.call<T>('POST', path, body, timeoutMs);
  }

  private call<T>(method: string, path: string, body: unknown, timeoutMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const call = request(
        {
          socketPath: this.socketPath,
          method,
          path: `/api/v1${path}`,
          // The socket's own agent would keep the command alive after its answer.
          agent: false,
          headers: {
            host: 'localhost',
            'x-outrigger-user': userName(),
            accept: 'application/json',
            ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          },
          timeout: timeoutMs,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            const answer = Buffer.concat(chunks).toString('utf8');
            let parsed: unknown;
            try {
              parsed = answer === '' ? undefined : JSON.parse(answer);
            } catch {
              reject(new CliError(`the control plane answered ${status} with something that is no JSON`, { where: `${method} ${path}` }));
              return;
            }
            if (status >= 200 && status < 300) resolve(parsed as T);
            else reject(new ApiFailure(status, parsed));
          });
        },
      );
      call.on('timeout', () =>
        call.destroy(
          new CliError(`the control plane did not answer within ${timeoutMs / 1000} s`, {
            where: this.socketPath,
            next: '`rig check` looks at it',
            exitCode: ExitCode.timeout,
          }),
        ),
      );
      call.on('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
            ? new CliError('no control plane is running', {
                where: this.socketPath,
                next: '`rig up` starts one; `--state DIR` names another state directory',
                exitCode: ExitCode.unreachable,
                cause: error,
              })
            : error.code === 'EACCES'
              ? new CliError("the control plane's socket belongs to another user", {
                  where: this.socketPath,
                  next: 'run rig as the user who runs `rig up`',
                  exitCode: ExitCode.unreachable,
                  cause: error,
                })
              : error,
        ),
      );
      call.end(text);
    });
  }
}

/** For the history; '' where the system has no name for the user. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
