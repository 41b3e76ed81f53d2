import { CliError, ExitCode } from '../error.ts';
import type { Call } from './call.ts';

const PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * "GET http://host:port/path", "tcp host:port" or "tls name:port", and "name: value" headers. `toWorkload`: a path is enough, whom it goes to being
 * said elsewhere.
 */
export function parseRequest(text: string, headers: readonly string[], toWorkload = false): Call {
  const [method = '', target = '', more] = text.trim().split(/\s+/);
  if (method === '' || target === '' || more !== undefined) throw bad(text, 'a request is "METHOD URL"');
  if (method === 'tcp' || method === 'tls') return connection(text, method, target);
  if (!METHOD.test(method)) throw bad(text, `"${method}" is no method`);
  const url = urlOf(toWorkload && target.startsWith('/') ? `http://localhost${target}` : target, text);
  const usual = PORTS[url.protocol];
  if (usual === undefined) throw bad(text, `the scheme is http or https, not ${url.protocol.replace(':', '')}`);
  const pairs = headers.map(headerOf);
  const host = pairs.findLast(([name]) => name.toLowerCase() === 'host')?.[1];
  const secure = url.protocol === 'https:';
  // As it was written: URL would resolve "..", which is the proxy's to do.
  const path = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(target)?.[1] ?? (target.startsWith('/') ? target : '/');
  return {
    address: /^[\d.]+$|^\[/.test(url.hostname) ? url.hostname.replace(/^\[|\]$/g, '') : '',
    port: url.port === '' ? usual : Number(url.port),
    host: url.hostname,
    tls: secure ? { sni: url.hostname, alpn: ['h2', 'http/1.1'], certificate: 'none', peer: '' } : undefined,
    request: {
      method,
      scheme: secure ? 'https' : 'http',
      authority: host ?? url.host,
      path: path === '' ? '/' : path.startsWith('?') ? `/${path}` : path,
      headers: pairs.filter(([name]) => name.toLowerCase() !== 'host').flat(),
      // gRPC is HTTP/2.
      plainProtocol: pairs.some(([name, value]) => name.toLowerCase() === 'content-type' && value.startsWith('application/grpc')) ? 'h2c' : 'http/1.1',
    },
  };
}

function connection(text: string, kind: 'tcp' | 'tls', target: string): Call {
  const match = /^(.+):(\d{1,5})$/.exec(target);
  if (match === null || Number(match[2]) < 1 || Number(match[2]) > 65_535) throw bad(text, `"${target}" is no host and port`);
  const host = match[1]!.replace(/^\[|\]$/g, '');
  return {
    address: /^[\d.]+$|:/.test(host) ? host : '',
    port: Number(match[2]),
    tls: kind === 'tls' ? { sni: host, alpn: [], certificate: 'none', peer: '' } : undefined,
    request: undefined,
    host,
  };
}

function urlOf(target: string, text: string): URL {
  try {
    return new URL(target);
  } catch {
    throw bad(text, `"${target}" is no URL`);
  }
}

function headerOf(text: string): readonly [string, string] {
  const match = /^([^:\s]+):\s*(.*)$/.exec(text);
  if (match === null || !METHOD.test(match[1]!) || /[\r\n\0]/.test(match[2]!))
    throw new CliError(`-H '${text}': no header`, { next: `as in -H 'name: value'`, exitCode: ExitCode.usage });
  return [match[1]!, match[2]!];
}

function bad(text: string, why: string): CliError {
  return new CliError(text === '' ? 'say what is sent' : `--request '${text}': ${why}`, {
    next: `as in --request 'GET http://orders:8080/42', --request 'tcp db:5432' or --request 'tls shop.example.com:443'`,
    exitCode: ExitCode.usage,
  });
}
