import { join, relative } from 'node:path';
import { createInterface } from 'node:readline';
import type { TopRow } from '@outrigger/control-plane/api';
import { apiOf } from '../api/control-plane.ts';
import { CliError, describe, ExitCode } from '../error.ts';
import { onStopSignals } from '../signals.ts';
import { meshDirectory } from '../state.ts';
import { type Child, signalNumber } from '../workload/child.ts';
import { promisePorts } from '../workload/directory.ts';
import { freePorts } from '../workload/ports.ts';
import type { Workload } from '../workload/workload.ts';
import { callThrough } from './call.ts';
import { serveDemo } from './control.ts';
import { clearState, startControlPlane } from './control-plane.ts';
import { experiments } from './experiments.ts';
import { type LoadReport, loadReport, mtlsShare, noLoadYet, overdraw, screen, showCursor, summary } from './screen.ts';
import { examplesDirectory, findProgram, goService, type ShopInstance, shop } from './shop.ts';
import { loadWorkload, type Surroundings, shopWorkload } from './workloads.ts';

export interface DemoSetup {
  readonly state: string;
  readonly headless: boolean;
  /** 0: until a signal. */
  readonly exitAfterSeconds: number;
  readonly envoyServices: readonly string[];
  readonly ratePerSecond: number;
  readonly keepState: boolean;
}

const redrawMs = 1000;
const maxNews = 4;
/** As `rig up`'s own; others are taken where these are in use. */
const controlPlanePorts = [15_012, 15_014];

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
    await demo.end();
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
  /** As the control plane answered last. */
  #rows: readonly TopRow[] = [];
  #rowsMs = performance.now();
  #finishing = false;
  /** Instances that an experiment ends. */
  readonly #ended = new Set<string>();
  readonly #examples = examplesDirectory();
  readonly #startedMs = performance.now();

  readonly #around: Surroundings;

  constructor(setup: DemoSetup) {
    this.#setup = setup;
    this.#around = { ...setup, say: (text) => this.say(text) };
  }

  async start(): Promise<void> {
    const { state } = this.#setup;
    if (!this.#setup.keepState) clearState(state);
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
      preferred: controlPlanePorts,
      promise: (ports) => promisePorts(state, 'demo', ports),
    });
    await this.startControlPlane(xdsPort, dashboardPort);
    if (this.#finishing) return;
    this.say(`control plane ready; starting ${shapes.length} services, each with its sidecar`);
    const load = loadWorkload(this.#examples, this.#setup.ratePerSecond, this.#around);
    this.#load = load;
    await Promise.all([load.prepare(), ...shapes.map((shape, index) => this.startInstance(shape, applicationPorts[index] ?? 0))]);
    if (this.#finishing) return;
    await this.startLoad(load);
    this.#control = await serveDemo(demoSocket(state), (verb, args) => this.experiment(verb, args));
    this.say(
      `the first good request was answered ${((performance.now() - this.#startedMs) / 1000).toFixed(1)} s after the start; dashboard: ${this.#dashboard}`,
    );
  }

  private async startControlPlane(xdsPort: number, dashboardPort: number): Promise<void> {
    const { state } = this.#setup;
    const { child, dashboard } = await startControlPlane(state, xdsPort, dashboardPort, (started) => {
      this.#controlPlane = started;
    });
    this.#dashboard = dashboard;
    child.exited.then(
      ({ code, signal }) => {
        if (!this.#finishing)
          this.say(`the control plane ended (${signal ?? code}); the sidecars go on with what they know. Start it again: npx rig --state ${state} up`);
      },
      () => {},
    );
  }

  private async startInstance(shape: ShopInstance, applicationPort: number): Promise<void> {
    const workload = shopWorkload(shape, applicationPort, this.#around);
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
      if (rows !== undefined) {
        this.#rows = rows;
        this.#rowsMs = performance.now();
      }
      const view = {
        dashboard: this.#dashboard,
        rig: this.rig(),
        rows: this.#rows,
        silentMs: performance.now() - this.#rowsMs,
        load: this.#report,
        news: this.#news,
        experiments: offered,
      };
      // Where a terminal does not say how large it is, it is the usual one.
      process.stdout.write(overdraw(screen(view, { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 })));
      this.#redraw = setTimeout(() => void draw(), redrawMs);
    };
    process.stdout.write('\x1b[2J');
    // Also where a second Ctrl-C ends it at once.
    process.once('exit', () => process.stdout.write(showCursor));
    process.stdout.on('resize', () => process.stdout.write('\x1b[2J'));
    void draw();
  }

  /** undefined: no answer. */
  private top(): Promise<TopRow[] | undefined> {
    return apiOf(this.#setup.state)
      .get<TopRow[]>('/top?windowMs=10000', 1000)
      .catch(() => undefined);
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
        const answer = await callThrough(workload.sidecar.httpProxyAddress, second);
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
    const rows = (await this.top()) ?? this.#rows;
    const problems = await this.end();
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    if (this.#report.lastFailure !== '') process.stderr.write(`last failure: ${this.#report.lastFailure}\n`);
    process.stdout.write(`${summary(this.#report, mtlsShare(rows))}\n`);
    return this.#report.failures === 0 && this.#report.requests > 0 && problems.length === 0 ? ExitCode.ok : ExitCode.failed;
  }

  /** Ends every process; gives what went wrong with that. */
  async end(): Promise<string[]> {
    this.#finishing = true;
    clearTimeout(this.#redraw);
    if (this.#redraw !== undefined) {
      this.#redraw = undefined;
      process.stdout.write(`${showCursor}\r\n`);
      this.say('ending every process ...');
    }
    this.#control?.close();
    // The load ends first: what the others do while they end is nobody's request.
    const problems: string[] = [];
    const attempt = (what: Promise<unknown> | undefined): Promise<unknown> =>
      (what ?? Promise.resolve()).catch((error: unknown) => problems.push(describe(error)));
    await attempt(this.#load?.stop('SIGTERM'));
    await Promise.all([...this.#workloads.values()].map(({ workload }) => attempt(workload.stop('SIGTERM'))));
    await attempt(this.#controlPlane?.stop(3000));
    return problems;
  }

  /** How a person calls rig for this mesh. */
  private rig(): string {
    const { state } = this.#setup;
    return meshDirectory() === state ? 'npx rig' : `npx rig --state ${state}`;
  }

  /** Below what is redrawn a line would be gone within a second: there it is a part of the screen. */
  private say(text: string): void {
    if (this.#redraw !== undefined) this.#news = [...this.#news, `${new Date().toTimeString().slice(0, 8)} ${text}`].slice(-maxNews);
    else process.stderr.write(`demo: ${text}\n`);
  }
}
