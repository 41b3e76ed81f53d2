import { existsSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TopRow } from '@outrigger/control-plane/api';
import { apiOf } from '../api/control-plane.ts';
import { CliError, describe, ExitCode } from '../error.ts';
import { onStopSignals } from '../signals.ts';
import { meshDirectory } from '../state.ts';
import { Child, signalNumber } from '../workload/child.ts';
import { controlPlaneOf } from '../workload/control-plane.ts';
import { freePorts } from '../workload/ports.ts';
import { Workload } from '../workload/workload.ts';
import { serveDemo } from './control.ts';
import { experiments } from './experiments.ts';
import { type LoadReport, loadReport, mtlsShare, noLoadYet, screen, summary } from './screen.ts';
import { findProgram, goService, type ShopInstance, servicePort, shop } from './shop.ts';

export interface DemoSetup {
  readonly state: string;
  readonly headless: boolean;
  /** 0: until a signal. */
  readonly exitAfterSeconds: number;
  readonly envoyServices: readonly string[];
  readonly ratePerSecond: number;
  readonly keepState: boolean;
}

const controlPlaneReadyMs = 15_000;
const redrawMs = 1000;
const maxNews = 4;
/** As `rig up`'s own; others are taken where these are in use. */
const controlPlanePorts = [15_012, 15_014];
/** Of the applications, one after the other. */
const firstApplicationPort = 9_101;

export function demoSocket(state: string): string {
  return join(state, 'run', 'demo.sock');
}

/** Runs the shop until Ctrl-C or the end of its time. Gives the exit code: 0 only if no request failed. */
export async function runDemo(setup: DemoSetup): Promise<number> {
  const demo = new Demo(setup);
  const stopped = new Promise<void>((resolve) =>
    onStopSignals(
      () => resolve(),
      // The kernel ends the children of a process that goes.
      (signal) => process.exit(128 + signalNumber(signal)),
    ),
  );
  try {
    const started = demo.start();
    started.catch(() => {});
    if ((await Promise.race([started.then(() => 'started'), stopped.then(() => 'stopped')])) === 'started') {
      demo.show();
      const timer =
        setup.exitAfterSeconds > 0 ? new Promise<void>((resolve) => setTimeout(resolve, setup.exitAfterSeconds * 1000)) : new Promise<void>(() => {});
      await Promise.race([stopped, timer]);
    }
    return await demo.finish();
  } catch (error) {
    await demo.finish().catch(() => 1);
    throw error;
  }
}

class Demo {
  readonly #setup: DemoSetup;
  readonly #workloads = new Map<string, { shape: ShopInstance; applicationPort: number; workload: Workload }>();
  #controlPlane: Child | undefined;
  #load: Workload | undefined;
  #report: LoadReport = noLoadYet;
  #dashboard = '';
  #control: Awaited<ReturnType<typeof serveDemo>> | undefined;
  #redraw: NodeJS.Timeout | undefined;
  #news: readonly string[] = [];
  #finishing = false;
  /** Instances that an experiment ends. */
  readonly #ended = new Set<string>();
  readonly #examples = examplesDirectory();
  readonly #startedMs = performance.now();

  constructor(setup: DemoSetup) {
    this.#setup = setup;
  }

  async start(): Promise<void> {
    const { state } = this.#setup;
    if (!this.#setup.keepState) this.clearState();
    const python = findProgram(['python3', 'python'], ['--version']);
    if (python === '') this.say('no Python here: fraud-service runs in Node');
    const shapes = shop(this.#examples, { python, goService: goService(this.#examples, (text) => this.say(text)) });
    const unknown = this.#setup.envoyServices.filter((name) => name !== 'load' && !shapes.some((shape) => shape.name === name));
    if (unknown.length > 0)
      throw new CliError(`--envoy ${unknown.join(' ')}: no service of the shop`, {
        next: `one of ${[...new Set(shapes.map(({ name }) => name))].join(', ')}`,
        exitCode: ExitCode.usage,
      });
    const [xdsPort = 0, dashboardPort = 0, ...applicationPorts] = await freePorts(controlPlanePorts.length + shapes.length, {
      preferred: [...controlPlanePorts, ...shapes.map((_, index) => firstApplicationPort + index)],
    });
    await this.startControlPlane(xdsPort, dashboardPort);
    if (this.#finishing) return;
    this.say(`control plane ready; starting ${shapes.length} services, each with its sidecar`);
    const load = this.newLoad();
    await Promise.all([load.prepare(), ...shapes.map((shape, index) => this.startInstance(shape, applicationPorts[index] ?? 0))]);
    if (this.#finishing) return;
    await this.startLoad(load);
    this.#control = await serveDemo(demoSocket(state), (verb, args) => this.experiment(verb, args));
    this.say(
      `the first good request was answered ${((performance.now() - this.#startedMs) / 1000).toFixed(1)} s after the start; dashboard: ${this.#dashboard}`,
    );
  }

  private clearState(): void {
    try {
      rmSync(join(this.#setup.state, 'store'), { recursive: true, force: true });
      rmSync(join(this.#setup.state, 'sidecars'), { recursive: true, force: true });
    } catch (cause) {
      throw new CliError(`the demo's state cannot be cleared: ${(cause as Error).message}`, {
        where: this.#setup.state,
        next: 'end the demo that runs, or choose another --state',
        cause,
      });
    }
  }

  private async startControlPlane(xdsPort: number, dashboardPort: number): Promise<void> {
    const rig = process.env['OUTRIGGER_RIG'] ?? process.argv[1] ?? '';
    const child = new Child(
      [
        process.execPath,
        rig,
        '--state',
        this.#setup.state,
        'up',
        '-o',
        'json',
        '--xds-address',
        `127.0.0.1:${xdsPort}`,
        '--dashboard-address',
        `127.0.0.1:${dashboardPort}`,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
      'TERM',
    );
    this.#controlPlane = child;
    let text = '';
    let complaint = '';
    child.process.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-4000);
    });
    const addresses = await new Promise<{ dashboard: string }>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new CliError(`the control plane was not ready within ${controlPlaneReadyMs / 1000} s`, { where: complaint })),
        controlPlaneReadyMs,
      );
      child.process.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        try {
          const parsed = JSON.parse(text) as { dashboard: string };
          clearTimeout(timer);
          resolve(parsed);
        } catch {
          // Not whole yet.
        }
      });
      child.exited.then(
        ({ code }) => {
          clearTimeout(timer);
          reject(new CliError(`the control plane ended with ${code}`, { where: complaint.trim() }));
        },
        (error: Error) => reject(error),
      );
    });
    this.#dashboard = addresses.dashboard;
    child.exited.then(
      ({ code, signal }) => {
        if (!this.#finishing)
          this.say(
            `the control plane ended (${signal ?? code}); the sidecars go on with what they know. Start it again: npx rig --state ${this.#setup.state} up`,
          );
      },
      () => {},
    );
  }

  private async startInstance(shape: ShopInstance, applicationPort: number): Promise<void> {
    const workload = new Workload({
      options: {
        name: shape.name,
        namespace: 'default',
        version: shape.version,
        serviceAccount: shape.name,
        instance: shape.instance,
        labels: { app: shape.name, version: shape.version },
        locality: '',
        ports: [{ protocol: 'http', servicePort, applicationPort }],
        upstreams: [],
        dataPlane: this.#setup.envoyServices.includes(shape.name) ? 'envoy' : 'outrigger',
        healthPath: '/healthz',
        certificateTtlSeconds: 0,
        otlp: '',
      },
      command: shape.command,
      environment: {
        ...process.env,
        NAME: shape.name,
        VERSION: shape.version,
        PORT: String(applicationPort),
        ...(shape.next === '' ? { NEXT: '' } : { NEXT: `http://${shape.next}:${servicePort}/` }),
      },
      stateDirectory: this.#setup.state,
      controlPlane: controlPlaneOf(this.#setup.state, undefined, undefined),
      log: (message) => this.say(`${shape.instance}: ${message}`),
      stdout: 'ignore',
      detached: true,
    });
    this.#workloads.set(shape.instance, { shape, applicationPort, workload });
    await this.startWorkload(shape.instance, workload);
  }

  private async startWorkload(instance: string, workload: Workload): Promise<void> {
    if (await workload.start()) {
      void workload.ended.then(({ code, signal }) => {
        if (!this.#finishing && !this.#ended.delete(instance)) this.say(`${instance} ended by itself (${signal ?? code})`);
      });
      return;
    }
    if (this.#finishing) return;
    const { code, signal } = await workload.ended;
    throw new CliError(`${instance} ended (${signal ?? code}) before it took requests`, { next: 'see what it wrote above' });
  }

  private newLoad(): Workload {
    this.#load = new Workload({
      options: {
        name: 'load',
        namespace: 'default',
        version: '',
        serviceAccount: 'load',
        instance: 'load',
        labels: { app: 'load' },
        locality: '',
        ports: [],
        upstreams: [],
        dataPlane: this.#setup.envoyServices.includes('load') ? 'envoy' : 'outrigger',
        healthPath: '',
        certificateTtlSeconds: 0,
        otlp: '',
      },
      command: [process.execPath, join(this.#examples, 'load.mjs')],
      environment: { ...process.env, TARGET: `http://web:${servicePort}/`, RATE: String(this.#setup.ratePerSecond) },
      stateDirectory: this.#setup.state,
      controlPlane: controlPlaneOf(this.#setup.state, undefined, undefined),
      log: (message) => this.say(`load: ${message}`),
      stdout: 'pipe',
      detached: true,
    });
    return this.#load;
  }

  /** Until it has had its first good answer. */
  private async startLoad(load: Workload): Promise<void> {
    await this.startWorkload('load', load);
    const stdout = load.application?.child?.process.stdout;
    if (!stdout) return;
    await new Promise<void>((resolve) => {
      createInterface({ input: stdout }).on('line', (line) => {
        const report = loadReport(line);
        if (report === undefined) return;
        this.#report = report;
        if (report.requests > report.failures) resolve();
      });
      load.application?.exited.then(
        () => resolve(),
        () => resolve(),
      );
    });
  }

  /** The terminal's live screen; without one, nothing: the summary follows at the end. */
  show(): void {
    if (this.#setup.headless) return;
    const offered = experiments(this.rig(), relative(process.cwd(), this.#examples) || '.');
    const draw = async (): Promise<void> => {
      const rows = await this.top();
      if (this.#finishing) return;
      process.stdout.write(`\x1b[H\x1b[2J${screen({ dashboard: this.#dashboard, rows, load: this.#report, news: this.#news, experiments: offered })}\n`);
      this.#redraw = setTimeout(() => void draw(), redrawMs);
    };
    void draw();
  }

  private top(): Promise<TopRow[]> {
    return apiOf(this.#setup.state)
      .get<TopRow[]>('/top?windowMs=10000', 1000)
      .catch(() => []);
  }

  private async experiment(verb: string, args: readonly string[]): Promise<string> {
    const [first = '', second = ''] = args;
    switch (verb) {
      case 'kill': {
        const { shape, workload } = this.instance(first);
        const child = workload.application?.child;
        if (child === undefined || !child.running)
          throw new CliError(`${shape.instance} is not running`, { next: `${this.rig()} demo revive ${shape.instance}` });
        const { pid } = child;
        this.#ended.add(shape.instance);
        child.kill('SIGKILL');
        this.say(`${shape.instance} was killed`);
        return `${first} (process ${pid}) got SIGKILL; undo: ${this.rig()} demo revive ${first}\n`;
      }
      case 'revive': {
        const { shape, applicationPort, workload } = this.instance(first);
        this.#ended.add(shape.instance);
        await workload.stop('SIGTERM');
        this.#ended.delete(shape.instance);
        await this.startInstance(shape, applicationPort);
        this.say(`${shape.instance} is back`);
        return `${first} is back\n`;
      }
      case 'fail':
      case 'heal': {
        const instances = [...this.#workloads.values()].filter(({ shape }) => shape.name === first || shape.instance === first);
        if (instances.length === 0) throw this.unknown(first);
        // Straight at the applications: this is about what they answer, not about the way there.
        for (const { applicationPort } of instances) await fetch(`http://127.0.0.1:${applicationPort}/fail?status=${verb === 'fail' ? 503 : 0}`);
        return verb === 'fail' ? `${first} answers 503 from now on; undo: ${this.rig()} demo heal ${first}\n` : `${first} answers again\n`;
      }
      case 'call': {
        const { workload } = this.instance(first);
        const answer = await curl(workload.sidecar.httpProxyAddress, second);
        return `${first} -> ${second}\n${answer}`;
      }
      default:
        throw new CliError(`rig demo ${verb}: no experiment`, {
          next: 'kill INSTANCE, revive INSTANCE, fail SERVICE, heal SERVICE, call FROM URL',
          exitCode: ExitCode.usage,
        });
    }
  }

  private instance(name: string): { shape: ShopInstance; applicationPort: number; workload: Workload } {
    const found = this.#workloads.get(name) ?? [...this.#workloads.values()].find(({ shape }) => shape.name === name);
    if (!found) throw this.unknown(name);
    return found;
  }

  private unknown(name: string): CliError {
    return new CliError(`${name || 'nothing'}: no instance of the demo; there are ${[...this.#workloads.keys()].join(', ')}`);
  }

  /** Ends every process, and says how it went. */
  async finish(): Promise<number> {
    this.#finishing = true;
    clearTimeout(this.#redraw);
    this.#redraw = undefined;
    this.#control?.close();
    const rows = await this.top();
    // The load ends first: what the others do while they end is nobody's request.
    const problems: string[] = [];
    const attempt = (what: Promise<unknown> | undefined): Promise<unknown> =>
      (what ?? Promise.resolve()).catch((error: unknown) => problems.push(describe(error)));
    await attempt(this.#load?.stop('SIGTERM'));
    await Promise.all([...this.#workloads.values()].map(({ workload }) => attempt(workload.stop('SIGTERM'))));
    await attempt(this.#controlPlane?.stop(3000));
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (this.#report.lastFailure !== '') process.stderr.write(`last failure: ${this.#report.lastFailure}\n`);
    process.stdout.write(`${summary(this.#report, mtlsShare(rows))}\n`);
    return this.#report.failures === 0 && this.#report.requests > 0 && problems.length === 0 ? ExitCode.ok : ExitCode.failed;
  }

  /** How a person calls rig for this mesh. */
  private rig(): string {
    const { state } = this.#setup;
    return meshDirectory() === state ? 'npx rig' : `npx rig --state ${state}`;
  }

  /** Below what is redrawn a line would be gone within a second: there it is a part of the screen. */
  private say(text: string): void {
    if (this.#redraw !== undefined) this.#news = [...this.#news, `${new Date().toLocaleTimeString()} ${text}`].slice(-maxNews);
    else process.stderr.write(`demo: ${text}\n`);
  }
}

/** The shop's programs, in the checkout that this program is of. */
function examplesDirectory(): string {
  const given = process.env['OUTRIGGER_EXAMPLES'];
  if (given !== undefined) return given;
  const own = fileURLToPath(import.meta.url);
  for (let folder = dirname(own); folder !== dirname(folder); folder = dirname(folder)) {
    const examples = join(folder, 'examples/shop');
    if (existsSync(join(examples, 'service.mjs'))) return examples;
  }
  throw new CliError('the programs of the shop are not there', {
    where: `examples/shop, above ${dirname(own)}`,
    next: 'run the demo from a checkout, or set OUTRIGGER_EXAMPLES to its examples/shop',
  });
}

/** One request through a sidecar's forward proxy, with what came back. */
async function curl(proxyAddress: string, url: string): Promise<string> {
  const { request } = await import('node:http');
  const { hostPort } = await import('../workload/control-plane.ts');
  let target: URL;
  try {
    target = new URL(url);
  } catch {
    throw new CliError(`${url}: no URL`, { next: 'for example http://payment-service:8080/' });
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
