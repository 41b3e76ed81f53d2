import type { Answer, RunningWorkload } from './mesh.ts';

/** Steady calls from one workload until it is stopped; keeps what failed. */
export class Load {
  readonly failures: string[] = [];
  requests = 0;
  #stopped = false;
  readonly #workers: Promise<void>[];

  constructor(
    client: RunningWorkload,
    url: string,
    options: { readonly concurrency: number; readonly pauseMs: number; readonly good?: (answer: Answer) => boolean },
  ) {
    const good = options.good ?? ((answer) => answer.status === 200);
    const work = async (): Promise<void> => {
      while (!this.#stopped) {
        const startedMs = performance.now();
        try {
          const answer = await client.call(url);
          if (!good(answer)) this.failures.push(`${answer.status} ${String(answer.headers['proxy-status'] ?? '')} ${answer.body.slice(0, 200)}`);
        } catch (error) {
          this.failures.push(String(error));
        }
        this.requests++;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, options.pauseMs - (performance.now() - startedMs))));
      }
    };
    this.#workers = Array.from({ length: options.concurrency }, work);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
  }
}
