import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { type DescMessage, type JsonObject, type JsonValue, toJson } from '@bufbuild/protobuf';
import { loadTypeRegistry } from '@outrigger/xds';
import { message } from '../../packages/proxy/src/testing/messages.ts';
import { freePort } from '../harness/ports.ts';
import { bootstrap } from '../xds/bootstrap.ts';
import { until } from '../xds/envoy.ts';
import { type Running, startOurs } from './data-plane.ts';

const registry = await loadTypeRegistry();
/** As our builders write it, in the JSON that Go's protojson takes. */
export const json = (schema: DescMessage, given: JsonObject): JsonValue => toJson(schema, message(schema, given), { registry });

export const overAds: JsonObject = { ads: {}, resourceApiVersion: 'V3' };

export interface Said {
  readonly kind: 'listening' | 'set' | 'subscribe' | 'ack' | 'nack';
  readonly address?: string;
  readonly typeUrl?: string;
  readonly reason?: string;
}

/** go-control-plane's own server with its snapshot cache. */
export class ForeignControlPlane {
  readonly said: Said[] = [];
  readonly port: number;
  readonly #process: ChildProcess;
  #version = 0;

  static async start(binary: string): Promise<ForeignControlPlane> {
    const plane = new ForeignControlPlane(binary, await freePort());
    await until('it listens', () => plane.said.find(({ kind }) => kind === 'listening'));
    return plane;
  }

  private constructor(binary: string, port: number) {
    this.port = port;
    this.#process = spawn(binary, [`127.0.0.1:${port}`], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.said.push(JSON.parse(line) as Said));
  }

  /** Our proxy under it. */
  startProxy(folder: string): Promise<Running> {
    return startOurs(folder, bootstrap('DELTA_GRPC', { port: this.port }) as JsonObject);
  }

  set(resources: Readonly<Record<string, readonly JsonValue[]>>): void {
    this.#process.stdin!.write(`${JSON.stringify({ node: 'order-1.default', version: String(++this.#version), ...resources })}\n`);
  }

  async stop(): Promise<void> {
    this.#process.kill();
    await once(this.#process, 'exit');
  }
}
