import type { ChildProcess } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { node, type TestMesh, until } from './mesh.ts';

const app = fileURLToPath(new URL('./app.mjs', import.meta.url));

/** A workload of a node's file. */
export interface NodeEntry {
  readonly name: string;
  readonly upstream?: readonly string[];
  readonly port?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** tests/harness/app.mjs as the application of a workload. */
export function application(name: string, port: number): Pick<NodeEntry, 'port' | 'command' | 'env'> {
  return { port: [`8080:${port}`], command: [node, app], env: { NAME: name, PORT: String(port) } };
}

/** `rig node` of a mesh. */
export class TestNode {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly #mesh: TestMesh;
  readonly #file: string;

  private constructor(mesh: TestMesh, file: string, environment: Record<string, string>) {
    this.#mesh = mesh;
    this.#file = file;
    const { process, output } = mesh.spawn(['node', '-f', file], environment);
    this.process = process;
    this.output = output;
  }

  /** Every workload of the file serves; those with an application take requests. */
  static async start(mesh: TestMesh, entries: readonly NodeEntry[], environment: Record<string, string> = {}): Promise<TestNode> {
    const file = join(mesh.state, `workloads-${entries[0]?.name}.yaml`);
    write(file, entries);
    const made = new TestNode(mesh, file, environment);
    await made.#serving(entries);
    return made;
  }

  /** Writes another file, and waits until it is in effect. */
  async apply(entries: readonly NodeEntry[]): Promise<void> {
    write(this.#file, entries);
    await this.#serving(entries);
  }

  /** Text that is no list of workloads, perhaps. */
  write(text: string): void {
    writeFileSync(this.#file, text);
  }

  /** Of the process that all proxies are in. */
  get proxyPid(): number {
    const text = readFileSync(join(this.#mesh.state, 'sidecars', `default.${this.#one}`, 'supervisor.json'), 'utf8');
    return (JSON.parse(text) as { proxyPid: number }).proxyPid;
  }

  #one = '';

  async #serving(entries: readonly NodeEntry[]): Promise<void> {
    this.#one = instanceOf(entries[0]!);
    await until(
      'the workloads of the node',
      async () => {
        const proxies = JSON.parse((await this.#mesh.api('GET', '/proxies')).body) as { node: string; connected: boolean }[];
        const services = JSON.parse((await this.#mesh.api('GET', '/services')).body) as { instances: { id: string; health: string }[] }[];
        const healthy = services.flatMap(({ instances }) => instances.filter(({ health }) => health === 'HEALTHY').map(({ id }) => id));
        return entries.every((entry) => {
          const instance = instanceOf(entry);
          if (!proxies.some(({ node: id, connected }) => id === `${instance}.default` && connected)) return false;
          return entry.port === undefined || healthy.some((id) => id.endsWith(`/${instance}`));
        });
      },
      40_000,
      100,
      () => `; it said: ${this.output()}`,
    );
  }
}

function instanceOf({ name, port }: NodeEntry): string {
  return port === undefined ? name : `${name}-${port[0]!.split(':').at(-1)}`;
}

function write(file: string, entries: readonly NodeEntry[]): void {
  // JSON is YAML.
  writeFileSync(`${file}.new`, JSON.stringify(entries, null, 1));
  renameSync(`${file}.new`, file);
}
