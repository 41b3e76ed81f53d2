import { askDemo } from '../demo/control.ts';
import { demoSocket, runDemo } from '../demo/run.ts';
import { CliError, ExitCode } from '../error.ts';
import type { OutputFormat } from '../output.ts';
import { exitSoon } from '../signals.ts';
import { demoStateDirectory } from '../state.ts';

export interface DemoOptions {
  experiment: string[];
  headless?: boolean;
  exitAfter?: string;
  envoy?: string[];
  rate: string;
  keepState?: boolean;
  output: OutputFormat;
  state: string | undefined;
}

export async function demo(options: DemoOptions): Promise<void> {
  const state = options.state ?? demoStateDirectory();
  const [verb, ...args] = options.experiment;
  if (verb !== undefined) {
    process.stdout.write(await askDemo(demoSocket(state), verb, args));
    return;
  }
  const exitAfterSeconds = options.exitAfter === undefined ? 0 : Number(options.exitAfter);
  if (!Number.isFinite(exitAfterSeconds) || exitAfterSeconds < 0)
    throw new CliError(`--exit-after ${options.exitAfter}: not a number of seconds`, { exitCode: ExitCode.usage });
  const ratePerSecond = Number(options.rate);
  if (!(ratePerSecond > 0 && ratePerSecond <= 10_000))
    throw new CliError(`--rate ${options.rate}: not a number of requests a second`, { exitCode: ExitCode.usage });
  const code = await runDemo({
    state,
    headless: options.headless === true || !process.stdout.isTTY,
    exitAfterSeconds,
    envoyServices: options.envoy ?? [],
    ratePerSecond,
    keepState: options.keepState === true,
  });
  exitSoon(code);
}
