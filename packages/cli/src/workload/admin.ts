import { request } from 'node:http';

const timeoutMs = 1000;

export interface AdminAddress {
  readonly host: string;
  readonly port: number;
}

/** One request to a proxy's admin interface; rejects where there is no answer. */
export function askAdmin({ host, port }: AdminAddress, method: string, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host, port, method, path, agent: false, timeout: timeoutMs }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new Error(`${path} did not answer`)));
    call.on('error', reject);
    call.end();
  });
}
