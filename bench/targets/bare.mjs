// Our proxy and Envoy with all off, by one static bootstrap: no mTLS, no policy, no access log, no spans. HTTP/2 between the two of a pair.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answers, proxyCore, start, until } from '../measure.mjs';
import { node, rig } from './mesh.mjs';

const any = (type, value) => ({ '@type': `type.googleapis.com/envoy.extensions.${type}`, ...value });
const socket = (port) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function cluster(port, http2) {
  return {
    name: 'next',
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: 'next', endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(port) } }] }] },
    ...(http2
      ? {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': any('upstreams.http.v3.HttpProtocolOptions', {
              explicit_http_config: { http2_protocol_options: {} },
            }),
          },
        }
      : {}),
  };
}

function networkFilter(protocol) {
  if (protocol === 'tcp') return { name: 'tcp', typed_config: any('filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'bench', cluster: 'next' }) };
  return {
    name: 'http',
    typed_config: any('filters.network.http_connection_manager.v3.HttpConnectionManager', {
      stat_prefix: 'bench',
      codec_type: 'AUTO',
      route_config: {
        name: 'all',
        virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'next', timeout: '0s' } }] }],
      },
      http_filters: [{ name: 'envoy.filters.http.router', typed_config: any('filters.http.router.v3.Router', {}) }],
    }),
  };
}

function bootstrap(name, protocol, listen, next, http2) {
  return JSON.stringify({
    node: { id: name, cluster: 'bench' },
    static_resources: {
      listeners: [{ name: 'entry', address: socket(listen), filter_chains: [{ filters: [networkFilter(protocol)] }] }],
      clusters: [cluster(next, http2)],
    },
  });
}

export async function startBare(envoy, row, directory, ports) {
  mkdirSync(directory, { recursive: true });
  const { protocol = 'http' } = row;
  const processes = [];
  const launch = (name, listen, next, http2) => {
    const file = join(directory, `${name}.json`);
    writeFileSync(file, bootstrap(name, protocol, listen, next, http2));
    const [program, ...args] =
      envoy === null
        ? [node, '--max-semi-space-size=8', rig, 'proxy', '--config', file]
        : [envoy, '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warn'];
    processes.push(start(proxyCore, program, args, { stdio: ['ignore', 'ignore', 'ignore'] }));
  };
  const stop = async () => void (await Promise.all(processes.map((process) => process.stop())));
  if (row.shape === 'pair') {
    launch('server', ports.mesh, ports.backend, protocol === 'grpc');
    launch('client', ports.entry, ports.mesh, protocol !== 'tcp');
  } else launch('hop', ports.entry, ports.backend, false);
  const url = `http://127.0.0.1:${ports.entry}${row.path}`;
  try {
    await until(envoy === null ? 'our proxy' : 'Envoy', () => answers(row, url));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pids: () => processes.map(({ pid }) => pid), stop };
}
