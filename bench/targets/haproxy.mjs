// HAProxy: one process a hop. Pair: HTTP/2 over mTLS between two processes, certificates checked on both sides.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, proxyCore, start, until } from '../measure.mjs';

const common = (log) => `global
  nbthread 1
  maxconn 4000
  log ${log} local0
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option redispatch
  retries 3
`;

export async function startHaproxy(program, row, directory, ports) {
  mkdirSync(directory, { recursive: true });
  const log = '127.0.0.1:9';
  const processes = [];
  const launch = (name, text) => {
    const file = join(directory, `${name}.cfg`);
    writeFileSync(file, common(log) + text);
    processes.push(start(proxyCore, program, ['-db', '-q', '-f', file], { stdio: ['ignore', 'ignore', 'ignore'] }));
  };
  const { protocol = 'http' } = row;
  const mode = protocol === 'tcp' ? '  mode tcp\n  option tcplog\n' : '';
  const http2 = protocol === 'grpc' ? ' proto h2' : '';
  const alpn = protocol === 'tcp' ? '' : ' alpn h2';
  const reuse = protocol === 'tcp' ? '' : '  http-reuse always\n';
  let identity;
  if (row.shape === 'pair') {
    const { ca, client, server } = certificates(directory);
    identity = client;
    const allow = protocol === 'tcp' ? 'tcp-request content reject' : 'http-request deny';
    launch(
      'server',
      `frontend mesh\n${mode}  bind 127.0.0.1:${ports.mesh} ssl crt ${server} ca-file ${ca} verify required${alpn}\n  ${allow} unless { ssl_c_s_dn(cn) load }\n  default_backend app\nbackend app\n${mode}${reuse}  server app 127.0.0.1:${ports.backend}${http2}\n`,
    );
    launch(
      'client',
      `frontend app\n${mode}  bind 127.0.0.1:${ports.entry}${http2}\n  default_backend mesh\nbackend mesh\n${mode}${reuse}  server peer 127.0.0.1:${ports.mesh} ssl crt ${client} ca-file ${ca} verify required verifyhost backend sni str(backend)${alpn}\n`,
    );
  } else
    launch(
      'hop',
      `frontend app\n  bind 127.0.0.1:${ports.entry}\n  default_backend app\nbackend app\n  http-reuse always\n  server app 127.0.0.1:${ports.backend}\n`,
    );
  const url = `http://127.0.0.1:${ports.entry}${row.path}`;
  await until('haproxy', () => answers(row, url));
  return {
    url,
    tls: identity === undefined ? undefined : { address: `127.0.0.1:${ports.mesh}`, certificate: identity, key: identity },
    pids: () => processes.map(({ pid }) => pid),
    stop: async () => Promise.all(processes.map((process) => process.stop())),
  };
}

function certificates(directory) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=bench-ca',
  );
  const issue = (name, cn) => {
    writeFileSync(join(directory, `${name}.ext`), `subjectAltName=DNS:${cn}\n`);
    openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${cn}`);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      `${name}.crt`,
      '-days',
      '1',
      '-extfile',
      `${name}.ext`,
    );
    writeFileSync(join(directory, `${name}.pem`), readFileSync(join(directory, `${name}.crt`), 'utf8') + readFileSync(join(directory, `${name}.key`), 'utf8'));
    return join(directory, `${name}.pem`);
  };
  return { ca: join(directory, 'ca.pem'), client: issue('client', 'load'), server: issue('server', 'backend') };
}
