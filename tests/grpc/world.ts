import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { peer } from '../harness/peers.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = join(root, 'node_modules/.bin/node');
const rigProgram = process.env['OUTRIGGER_RIG'] ?? join(root, 'packages/cli/dist/rig.js');

/** A gRPC library that nobody here wrote, as the command of its peer program. */
export interface Library {
  readonly name: string;
  readonly command: readonly string[] | undefined;
}

const grpcGo = peer('grpc-go');
export const libraries: readonly Library[] = [
  { name: 'grpc-go', command: grpcGo === undefined ? undefined : [grpcGo] },
  { name: 'grpc-js', command: [node, join(root, 'tests/peers/grpc-js.ts')] },
];

export interface Tally {
  readonly instances: Readonly<Record<string, number>>;
  readonly errors: number;
  readonly lastError: string;
}

/** Everything that one test has started; ended by their own processes' handles. */
export class Children {
  readonly #children: ChildProcess[] = [];

  start(command: readonly string[], environment: Record<string, string> = {}): ChildProcess {
    const [program, ...args] = command;
    const child = spawn(program!, args, { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] });
    // A peer that has ended does not read what is still written to it.
    child.stdin!.on('error', () => {});
    this.#children.push(child);
    return child;
  }

  async end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  async close(): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) await this.end(child);
  }
}

/** `rig bootstrap grpc ARGS` beside a client or server: the environment that makes it one of the mesh. */
export async function bootstrap(
  children: Children,
  state: string,
  args: readonly string[],
): Promise<{ process: ChildProcess; environment: Record<string, string> }> {
  const child = children.start([node, rigProgram, '--state', state, 'bootstrap', 'grpc', ...args]);
  const file = await firstLine(child, /^GRPC_XDS_BOOTSTRAP=(.+)$/);
  return { process: child, environment: { GRPC_XDS_BOOTSTRAP: file, GRPC_XDS_EXPERIMENTAL_RBAC: 'true' } };
}

function firstLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let errors = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}: ${errors}`)));
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const match = pattern.exec(line);
      if (match !== null) resolve(match[1]!);
    });
  });
}

/** One channel that stays open; `ask` makes so many calls on it, one after the other. */
export class GrpcClient {
  readonly #children: Children;
  readonly #child: ChildProcess;
  readonly #waiting: { resolve(tally: Tally): void; reject(error: Error): void }[] = [];
  #errors = '';

  constructor(children: Children, library: Library, target: string, environment: Record<string, string>) {
    this.#children = children;
    this.#child = children.start([...library.command!, 'client', target, '-'], environment);
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#waiting.shift()?.resolve(JSON.parse(line)));
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the client ended with ${code}: ${this.#errors}`));
    });
  }

  end(): Promise<void> {
    return this.#children.end(this.#child);
  }

  ask(count: number): Promise<Tally> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin!.write(`${count}\n`);
    });
  }
}
