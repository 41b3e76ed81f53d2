import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { runNode, runProxy, runWorker, workerPlace } from '@outrigger/proxy';
import { version } from '../version.ts';
import { parseConcurrency } from '../workload/concurrency.ts';

/** `rig proxy --config FILE`: the data plane from an Envoy bootstrap file, until SIGTERM. With `--concurrency N` as N processes. With `--node` that of all workloads of `rig node`, its parent. */
export async function proxyCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: 'string', short: 'c' },
      cache: { type: 'string' },
      metrics: { type: 'string' },
      node: { type: 'boolean' },
      concurrency: { type: 'string', default: '1' },
    },
  });
  if (values.node === true) {
    await runNode({ version });
    return;
  }
  if (values.config === undefined) {
    process.stderr.write('rig proxy: --config FILE is needed, an Envoy bootstrap\n');
    process.exitCode = 2;
    return;
  }
  const place = workerPlace(process.env);
  if (place !== undefined) {
    await runWorker(values.config, place, { version });
    return;
  }
  let count: number;
  try {
    count = parseConcurrency(values.concurrency);
  } catch (error) {
    process.stderr.write(`rig proxy: ${(error as Error).message}\n`);
    process.exitCode = 2;
    return;
  }
  const options = {
    version,
    ...(values.cache === undefined ? {} : { cacheDir: values.cache }),
    ...(values.metrics === undefined ? {} : { metricsAddress: values.metrics }),
  };
  if (count === 1) await runProxy(values.config, options);
  // What the parent of workers needs beside a proxy (a gRPC server) is in a file of its own: the one that starts beside every workload stays small.
  else {
    const load = createRequire(import.meta.url);
    await (load('./workers.cjs') as typeof import('./workers.ts')).workersCommand(values.config, count, options);
  }
}
