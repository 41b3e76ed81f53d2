import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from './ports.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');
const appProgram = join(root, 'tests/harness/app.mjs');

/** Several sidecars at once on two busy cores. */
const startTimeoutMs = 45_000;
const startPollMs = 50;
/** Longer than the application gives a program. */
const execTimeoutMs = 50_000;

export type DataPlane = 'outrigger' | 'envoy';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

export interface WorkloadSpec {
  readonly name: string;
  readonly version?: string;
  readonly instance?: string;
  readonly namespace?: string;
  readonly dataPlane?: DataPlane;
  /** Service port; default 8080. Absent with `client`. */
  readonly client?: boolean;
  readonly protocol?: string;
  readonly next?: string;
  /** After which its application closes an idle connection, ms; Node's default. */
  readonly keepAliveMs?: number;
  readonly args?: readonly string[];
  /** Instead of tests/harness/app.mjs; given the port to listen on. */
  readonly command?: (port: number) => readonly string[];
}

/** One `rig run` with its application. */
export interface RunningWorkload {
  readonly name: string;
  readonly instance: string;
  readonly process: ChildProcess;
  readonly applicationPort: number;
  /** "127.0.0.1:PORT" of its sidecar's forward proxy. */
  readonly proxy: string;
  /** "127.0.0.1:PORT" where its sidecar listens for the mesh, for its first port. */
  readonly meshAddress: string;
  /** Of its sidecar. */
  readonly adminAddress: string;
  /** Prometheus page of its sidecar; Envoy has it on its admin interface. */
  readonly metricsAddress: string;
  /** One request from this workload: plain HTTP through its sidecar, as an unchanged application sends it. */
  call(url: string, options?: CallOptions): Promise<Answer>;
  /** An unchanged program as a child of its application, in the environment that `rig run` gives. */
  exec(command: readonly string[], options?: ExecOptions): Promise<Executed>;
  /** A path of its application, asked at the application's own port. */
  ask(path: string): Promise<Answer>;
  /** How often a path reached its application. */
  count(path: string): Promise<number>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  output(): string;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Keeps connections to the sidecar; without it each call has its own. */
  readonly agent?: Agent;
}

export interface ExecOptions {
  /** On top of what `rig run` gives. */
  readonly environment?: Record<string, string>;
  readonly input?: string;
}

export interface Executed {
  /** -1 where the program could not be started; a signal's name where one ended it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningGateway {
  readonly process: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<void>;
  output(): string;
}

/** A control plane and its workloads as real processes, in a state directory of their own. */
export class TestMesh {
  readonly state = mkdtempSync(join(tmpdir(), 'rig-'));
  readonly #children = new Set<ChildProcess>();
  #controlPlane: ChildProcess | undefined;
  #upArgs: readonly string[] = [];

  static async start(upArgs: readonly string[] = []): Promise<TestMesh> {
    const mesh = new TestMesh();
    const [xds, api] = await freePorts(2);
    mesh.#upArgs = ['--xds-address', `127.0.0.1:${xds}`, '--dashboard-address', `127.0.0.1:${api}`, ...upArgs];
    await mesh.startControlPlane();
    return mesh;
  }

  async startControlPlane(): Promise<void> {
    const child = this.spawn(['up', ...this.#upArgs], {});
    this.#controlPlane = child.process;
    await until('the control plane', async () => {
      if (child.process.exitCode !== null) throw new Fatal(`rig up ended: ${child.output()}`);
      return (await this.api('GET', '/version')).status === 200;
    });
  }

  get controlPlanePid(): number {
    return this.#controlPlane?.pid ?? 0;
  }

  async killControlPlane(): Promise<void> {
    const child = this.#controlPlane;
    if (!child) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async run(spec: WorkloadSpec): Promise<RunningWorkload> {
    const [port = 0] = await freePorts(1);
    const instance = spec.instance ?? [spec.name, spec.version].filter(Boolean).join('-');
    const args = [
      spec.args?.includes('--sidecar') ? 'sidecar' : 'run',
      '--name',
      spec.name,
      '--instance',
      instance,
      ...(spec.version ? ['--version', spec.version] : []),
      ...(spec.namespace ? ['--namespace', spec.namespace] : []),
      ...(spec.client ? [] : ['--port', `${spec.protocol ? `${spec.protocol}:` : ''}8080:${port}`]),
      '--data-plane',
      spec.dataPlane ?? 'outrigger',
      ...(spec.args ?? []).filter((arg) => arg !== '--sidecar'),
      '--',
      ...(spec.command?.(port) ?? [node, appProgram]),
    ];
    const child = this.spawn(args, {
      NAME: spec.name,
      VERSION: spec.version ?? '',
      INSTANCE: instance,
      PORT: String(port),
      NEXT: spec.next ?? '',
      ...(spec.keepAliveMs === undefined ? {} : { KEEP_ALIVE_MS: String(spec.keepAliveMs) }),
    });
    const direct = (path: string): Promise<Answer> => call({ host: '127.0.0.1', port, path });
    let proxy = '';
    const custom = spec.command !== undefined;
    await until(
      `workload ${instance}`,
      async () => {
        if (child.process.exitCode !== null) throw new Fatal(`rig run of ${instance} ended with ${child.process.exitCode}: ${child.output()}`);
        if (!custom) proxy = (JSON.parse((await direct('/env')).body) as { proxy: string }).proxy.replace('http://', '');
        return spec.client ? proxy !== '' || custom : await this.healthy(spec.name, instance);
      },
      startTimeoutMs,
      startPollMs,
      () => `; it said: ${child.output()}`,
    );
    // Order of ports in the instance's directory: forward proxy, admin, metrics, then one for each of its own.
    const [forwardProxy, admin, metrics, mesh] = this.portsOf(spec.namespace ?? 'default', instance).map((each) => `127.0.0.1:${each}`);
    if (custom) proxy = forwardProxy ?? '';
    return {
      name: spec.name,
      instance,
      process: child.process,
      applicationPort: port,
      proxy,
      meshAddress: mesh ?? '',
      adminAddress: admin ?? '',
      metricsAddress: (spec.dataPlane === 'envoy' ? admin : metrics) ?? '',
      output: child.output,
      call: (url, options = {}) => {
        const [host = '', proxyPort = ''] = proxy.split(':');
        return call({
          host,
          port: Number(proxyPort),
          path: url,
          headers: { host: new URL(url).host, ...options.headers },
          ...(options.agent ? { agent: options.agent } : {}),
          ...(options.method ? { method: options.method } : {}),
          ...(options.body === undefined ? {} : { body: options.body }),
        });
      },
      exec: async (command, options = {}) => {
        const answer = await call({
          host: '127.0.0.1',
          port,
          path: '/exec',
          method: 'POST',
          timeoutMs: execTimeoutMs,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ command, ...options }),
        });
        return JSON.parse(answer.body) as Executed;
      },
      ask: direct,
      count: async (path) => (JSON.parse((await direct('/counts')).body) as Record<string, number>)[path] ?? 0,
      stop: (signal = 'SIGTERM') => stop(child.process, signal),
    };
  }

  /** `rig gateway`, once its proxy is connected. */
  async gateway(name: string, instance: string, dataPlane: DataPlane, args: readonly string[]): Promise<RunningGateway> {
    const child = this.spawn(['gateway', '--name', name, '--instance', instance, '--address', '127.0.0.1', '--data-plane', dataPlane, ...args], {});
    await until(
      `gateway ${instance}`,
      async () => {
        if (child.process.exitCode !== null) throw new Fatal(`rig gateway ended with ${child.process.exitCode}: ${child.output()}`);
        const proxies = JSON.parse((await this.api('GET', '/proxies')).body) as { instance: string; connected: boolean }[];
        return proxies.some((proxy) => proxy.instance === instance && proxy.connected);
      },
      startTimeoutMs,
      startPollMs,
      () => `; it said: ${child.output()}`,
    );
    return { process: child.process, output: child.output, stop: (signal = 'SIGTERM') => stop(child.process, signal) };
  }

  /** Forward proxy, admin interface, metrics page, then one for each port of its own. */
  portsOf(namespace: string, instance: string): number[] {
    try {
      return JSON.parse(readFileSync(join(this.state, 'sidecars', `${namespace}.${instance}`, 'ports.json'), 'utf8')) as number[];
    } catch {
      // A client with a command of its own is not waited for.
      return [];
    }
  }

  private async healthy(service: string, instance: string): Promise<boolean> {
    const services = JSON.parse((await this.api('GET', '/services')).body) as { name: string; instances: { id: string; health: string }[] }[];
    return services.some(({ name, instances }) => name === service && instances.some(({ id, health }) => id.endsWith(`/${instance}`) && health === 'HEALTHY'));
  }

  /** The control plane's HTTP API. */
  api(method: string, path: string, body?: unknown): Promise<Answer> {
    return call({
      socketPath: join(this.state, 'run/api.sock'),
      method,
      path: `/api/v1${path}`,
      headers: { host: 'localhost', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** `rig ARGS` on this mesh: its exit code and what it printed. */
  async rig(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const process_ = spawn(node, [rigProgram, '--state', this.state, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    process_.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    process_.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const code = await new Promise<number>((resolve) => process_.once('close', (status) => resolve(status ?? -1)));
    return { code, stdout, stderr };
  }

  /** Applies YAML and waits until every affected proxy has acknowledged it. */
  async apply(yaml: string): Promise<void> {
    const file = join(this.state, `apply-${Date.now()}-${Math.random().toString(36).slice(2)}.yaml`);
    writeFileSync(file, yaml);
    const { code, stdout, stderr } = await this.rig(['apply', '-f', file, '--wait']);
    if (code !== 0) throw new Error(`rig apply ended with ${code}: ${stdout}${stderr}`);
  }

  async delete(kind: string, name: string, namespace = 'default'): Promise<void> {
    const { code, stdout, stderr } = await this.rig(['delete', kind, name, '-n', namespace, '--wait']);
    if (code !== 0) throw new Error(`rig delete ended with ${code}: ${stdout}${stderr}`);
  }

  /** What the sidecars wrote, for the message of a failed test. */
  logs(): string {
    const folder = join(this.state, 'sidecars');
    try {
      return readdirSync(folder)
        .map((name) => `--- ${name}\n${tail(join(folder, name, 'proxy.log'))}`)
        .join('\n');
    } catch {
      return '';
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#children].filter((child) => child !== this.#controlPlane).map((child) => stop(child, 'SIGTERM')));
    if (this.#controlPlane) await stop(this.#controlPlane, 'SIGTERM');
    rmSync(this.state, { recursive: true, force: true });
  }

  /** `rig ARGS` on this mesh, until it ends or the mesh is stopped. */
  spawn(args: readonly string[], environment: Record<string, string> = {}): { process: ChildProcess; output: () => string } {
    const child = spawn(node, [rigProgram, '--state', this.state, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    let text = '';
    const keep = (chunk: Buffer): void => {
      text = (text + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return { process: child, output: () => text };
  }
}

/** An end that no waiting will mend. */
class Fatal extends Error {}

export async function until(what: string, test: () => Promise<boolean>, timeoutMs = 20_000, intervalMs = 25, said = () => ''): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      if (await test()) return;
    } catch (error) {
      if (error instanceof Fatal) throw error;
      last = error;
    }
    if (performance.now() > endMs) throw new Error(`${what}: not within ${timeoutMs / 1000} s${last instanceof Error ? `: ${last.message}` : ''}${said()}`);
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}

interface HttpCall {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly method?: string;
  readonly path: string;
  readonly timeoutMs?: number;
  readonly agent?: Agent;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export function call({ body, timeoutMs = 30_000, ...options }: HttpCall): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent: false, ...options, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${options.path} within ${timeoutMs / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(timer);
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-3000);
  } catch {
    return '';
  }
}
