import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { readBootstrap } from '../bootstrap/bootstrap-config.ts';
import type { ProxyOptions, Proxy as RunnableProxy } from '../engine/options.ts';
import { createProxy } from '../engine/proxy.ts';
import type { TestControlPlane } from './test-control-plane.ts';

/** Bootstrap of a sidecar as its agent writes it (docs/xds.md). */
export function bootstrapJson(
  plane: TestControlPlane | null,
  fields: { readonly dynamicResources?: JsonObject; readonly staticResources?: JsonObject } = {},
): JsonObject {
  const pipe = (name: string, path: string): JsonObject => ({
    name,
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path } } } }] }] },
  });
  const { clusters = [], ...statics } = fields.staticResources ?? {};
  return {
    node: { id: 'web-1.default', cluster: 'web', metadata: { WORKLOAD: 'web', NAMESPACE: 'default', SERVICE: 'web', ON_DEMAND: true } },
    admin: { address: { socketAddress: { address: '127.0.0.1', portValue: 0 } } },
    staticResources: {
      clusters: [...(plane === null ? [] : [pipe('xds-grpc', plane.adsPath), pipe('sds-grpc', plane.sdsPath)]), ...(clusters as JsonObject[])],
      ...statics,
    },
    ...(plane === null
      ? {}
      : {
          dynamicResources: {
            adsConfig: { apiType: 'DELTA_GRPC', transportApiVersion: 'V3', grpcServices: [{ envoyGrpc: { clusterName: 'xds-grpc' } }] },
            ldsConfig: { ads: {} },
            ...fields.dynamicResources,
          },
        }),
  };
}

/** A whole proxy in this process, of a bootstrap. */
export class TestProxy {
  readonly proxy: RunnableProxy;
  readonly log: string[];

  private constructor(proxy: RunnableProxy, log: string[]) {
    this.proxy = proxy;
    this.log = log;
  }

  static async make(bootstrap: JsonObject, options: ProxyOptions = {}): Promise<TestProxy> {
    const log: string[] = [];
    const config = await readBootstrap(JSON.stringify(bootstrap), 'bootstrap.json');
    return new TestProxy(createProxy(config, { ...options, log: (level, message) => log.push(`${level} ${message}`) }), log);
  }

  /** Made and started. */
  static async start(plane: TestControlPlane, options: ProxyOptions = {}): Promise<TestProxy> {
    const made = await TestProxy.make(bootstrapJson(plane), { cacheDir: join(plane.folder), ...options });
    await made.proxy.start();
    return made;
  }

  /** A request to a listener of that name, on a connection of its own unless there is an agent. */
  ask(listener: string, asked: AskedOverHttp = {}): Promise<AnswerOverHttp> {
    return ask(this.proxy.listenerAddress(listener)!, asked);
  }

  admin(path: string, asked: AskedOverHttp = {}): Promise<AnswerOverHttp> {
    return ask(this.proxy.adminAddress!, { path, ...asked });
  }
}

export interface AskedOverHttp {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly agent?: http.Agent;
}

export interface AnswerOverHttp {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export async function ask(address: string, { method = 'GET', path = '/', headers = {}, body, agent }: AskedOverHttp = {}): Promise<AnswerOverHttp> {
  const [host, port] = address.split(':');
  const request = http.request({ host, port, method, path, headers, agent: agent ?? false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode!, headers: response.headers, body: text };
}

/** An application of Node's own HTTP server. */
export class TestApplication {
  readonly requests: { readonly method: string; readonly url: string; readonly headers: http.IncomingHttpHeaders }[] = [];
  readonly #server: http.Server;

  private constructor(handle: http.RequestListener) {
    this.#server = http.createServer((request, response) => {
      this.requests.push({ method: request.method!, url: request.url!, headers: request.headers });
      handle(request, response);
    });
  }

  static async start(handle: http.RequestListener = (_request, response) => response.end('ok')): Promise<TestApplication> {
    const application = new TestApplication(handle);
    application.#server.listen(0, '127.0.0.1');
    await once(application.#server, 'listening');
    return application;
  }

  /** "ip:port", for endpoints. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
