import type { ControlPlaneTarget } from '@outrigger/identity';
import { Application } from './application.ts';
import { CertificateStore } from './certificate-store.ts';
import { type Exit, notStartedCode, signalNumber } from './child.ts';
import { applicationEnvironment } from './environment.ts';
import type { WorkloadOptions } from './options.ts';
import type { PlaceProxy } from './proxy-process.ts';
import { Registration } from './registration.ts';
import { Sidecar } from './sidecar.ts';

/** Callers learn that an instance leaves within this time; then its proxy takes no new request. */
const leaveNoticeMs = 300;
const applicationGraceMs = 10_000;

export interface WorkloadSetup {
  readonly options: WorkloadOptions;
  /** Empty: somebody else runs the application (`rig sidecar`). */
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly stateDirectory: string;
  readonly controlPlane: ControlPlaneTarget;
  readonly log: (message: string) => void;
  /** Of the application; absent: that of this process. */
  readonly cwd?: string;
  /** Where the sidecar's proxy runs; absent: in a process of its own. */
  readonly place?: PlaceProxy;
  readonly stdout?: 'inherit' | 'pipe' | 'ignore';
  /** Out of reach of the terminal's Ctrl-C: its supervisor ends it in order. */
  readonly detached?: boolean;
}

/** An application and its sidecar: two children, each ended and started without the other. */
export class Workload {
  readonly #setup: WorkloadSetup;
  readonly sidecar: Sidecar;
  readonly ended: Promise<Exit>;
  #end!: (exit: Exit) => void;
  #application: Application | undefined;
  #registration: Registration | undefined;
  /** Of files, as a gateway's servers or its Sidecar's ingress name them. */
  readonly #certificates: CertificateStore;
  #warnings: readonly string[] = [];
  #prepared: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #aborted = new AbortController();

  constructor(setup: WorkloadSetup) {
    this.#setup = setup;
    const { options, log } = setup;
    this.#certificates = new CertificateStore({
      folder: options.gateway?.certificates,
      onProblems: (problems) => {
        for (const problem of problems) log(problem);
        this.#warnings = problems;
        this.#registration?.warn(problems);
      },
    });
    this.sidecar = new Sidecar({
      ...setup,
      secrets: this.#certificates,
      onReadiness: () => this.reportHealth(),
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get application(): Application | undefined {
    return this.#application;
  }

  /** Until its sidecar is ready: what `start` does first, for who has other things to wait for before the application. */
  prepare(): Promise<void> {
    this.#prepared ??= this.sidecar.start();
    return this.#prepared;
  }

  /** Until its sidecar is ready, its application takes requests, and callers can find it; false where it ended before that. */
  async start(): Promise<boolean> {
    const { options, command, environment, log } = this.#setup;
    try {
      await this.prepare();
      if (this.#stopping) return false;
      this.launchApplication(command, applicationEnvironment(environment, this.sidecar.httpProxyAddress));
      if (!(await this.#application?.ready(this.#aborted.signal, log)) || this.#stopping) return false;
      this.#registration = new Registration({
        options,
        dataPlane: options.dataPlane,
        front: this.sidecar,
        applicationPid: () => this.#application?.child?.pid ?? 0,
        log,
      });
      this.#registration.warn(this.#warnings);
      await this.#registration.start();
      if (this.#stopping) return false;
      this.#application?.watch((reason) => {
        this.#unhealthy = reason;
        this.reportHealth();
      });
      return true;
    } catch (error) {
      // What fails because it is being ended has not failed.
      if (this.#stopping !== undefined) return false;
      await this.stop('SIGTERM');
      throw error;
    }
  }

  #unhealthy = '';

  private reportHealth(): void {
    const reason = this.sidecar.ready ? this.#unhealthy : 'its proxy is being started again';
    this.#registration?.health(reason === '', reason);
  }

  private launchApplication(command: readonly string[], environment: NodeJS.ProcessEnv): void {
    const { options, log, cwd, stdout, detached = false } = this.#setup;
    const application = new Application({
      command,
      environment,
      // Nothing is behind a gateway.
      port: options.gateway === undefined ? options.ports[0]?.applicationPort : undefined,
      healthPath: options.healthPath,
      detached,
      ...(cwd === undefined ? {} : { cwd }),
      ...(stdout === undefined ? {} : { stdout }),
    });
    this.#application = application;
    if (command.length === 0) return;
    application.exited.then(
      (exit) => this.applicationEnded(exit),
      (cause: Error) => {
        log(`the application could not be started: ${notStartedCode(cause) === 127 ? `there is no program ${command[0]}` : cause.message}`);
        this.applicationEnded({ code: notStartedCode(cause), signal: null });
      },
    );
  }

  private applicationEnded(exit: Exit): void {
    this.#exit ??= exit;
    void this.stop('SIGTERM');
  }

  #exit: Exit | undefined;

  /**
   * Leaves in order: callers are told, the application gets the signal and ends what it is doing, then the sidecar drains. Takes the exit code from
   * the application. `told`: the application has had the signal already.
   */
  stop(signal: NodeJS.Signals, told = false): Promise<void> {
    this.#stopping ??= this.stopOnce(signal, told);
    return this.#stopping;
  }

  private async stopOnce(signal: NodeJS.Signals, told: boolean): Promise<void> {
    this.#aborted.abort();
    const application = this.#application;
    application?.unwatch();
    const gone = application?.child !== undefined && !application.child.running;
    if (this.#registration && !gone && this.#setup.options.ports.length > 0) {
      this.#registration.leave();
      await new Promise((resolve) => setTimeout(resolve, leaveNoticeMs));
    }
    // Nobody is behind it any more: the stream's end says so at once.
    this.#registration?.stop();
    const child = application?.child;
    if (child?.running) {
      if (!told) child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), applicationGraceMs);
      this.#exit = await child.exited.catch(() => ({ code: 1, signal: null }));
      clearTimeout(timer);
    }
    await this.sidecar.stop();
    this.#certificates.stop();
    // An application that was never started has been ended by the signal all the same.
    const unstarted = this.#setup.command.length > 0 && application === undefined;
    this.#end(this.#exit ?? (unstarted ? { code: 128 + signalNumber(signal), signal } : { code: 0, signal: null }));
  }
}
