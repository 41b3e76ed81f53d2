import { request } from 'node:http';
import { CliError } from '../error.ts';
import { hostPort } from '../workload/control-plane.ts';

/** One request through a sidecar's forward proxy, as the application beside it would send it. Gives what came back, as text. */
export function callThrough(proxyAddress: string, url: string): Promise<string> {
  let target: URL;
  try {
    target = new URL(url);
  } catch {
    throw new CliError(`${url || 'nothing'}: no URL`, { next: 'for example http://payment-service:8080/' });
  }
  return new Promise((resolve, reject) => {
    request({ ...hostPort(proxyAddress, 'proxy'), path: target.href, headers: { host: target.host }, agent: false }, (response) => {
      let text = `HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}\n`;
      for (let index = 0; index < response.rawHeaders.length; index += 2) text += `${response.rawHeaders[index]}: ${response.rawHeaders[index + 1]}\n`;
      text += '\n';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text.endsWith('\n') ? text : `${text}\n`));
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}
