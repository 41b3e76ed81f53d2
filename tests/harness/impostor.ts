import { readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { connect } from 'node:tls';

/** What somebody shows in a handshake. */
export interface Credentials {
  readonly key: string;
  readonly cert: string;
}

/** The identity that a workload's agent has on this machine: somebody who stole it, or a control for a test of forged ones. */
export function identityOf(state: string, instance: string, namespace = 'default'): Credentials {
  const file = join(state, 'sidecars', `${namespace}.${instance}`, 'identity/identity.json');
  const { privateKeyPem, certificateChainPem } = JSON.parse(readFileSync(file, 'utf8')) as { privateKeyPem: string; certificateChainPem: string[] };
  return { key: privateKeyPem, cert: certificateChainPem.join('\n') };
}

/**
 * One GET by HTTP/2 over TLS at a sidecar's own port, as a mesh client with these credentials: its status and the answer, or why there
 * was none. The server's certificate is not looked at.
 */
export async function callAs(
  address: string,
  path: string,
  credentials: Credentials | undefined,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; error: string; serverSerial: string }> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port), ALPNProtocols: ['istio-h2', 'h2'], rejectUnauthorized: false, ...credentials });
  let serverSerial = '';
  socket.once('secureConnect', () => {
    serverSerial = socket.getPeerCertificate().serialNumber;
  });
  const session = connectHttp2(`https://${address}`, { createConnection: () => socket });
  let failure = '';
  const failed = (error: Error): void => {
    failure ||= `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`;
  };
  session.on('error', failed);
  socket.on('error', failed);
  const request = session.request({ ':path': path, ':authority': 'payment-service:8080', ...headers });
  request.on('error', failed);
  let status = 0;
  let body = '';
  request.on('response', (head) => {
    status = head[':status'] ?? 0;
  });
  request.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk;
  });
  await new Promise((resolve) => request.once('close', resolve));
  session.destroy();
  return { status, body, error: status === 0 ? failure || 'the connection was closed' : '', serverSerial };
}
