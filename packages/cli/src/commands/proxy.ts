import { parseArgs } from 'node:util';
import { runNode, runProxy } from '@outrigger/proxy';
import { version } from '../version.ts';

/** `rig proxy --config FILE`: the data plane from an Envoy bootstrap file, until SIGTERM. With `--node` that of all workloads of `rig node`, its parent. */
export async function proxyCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { config: { type: 'string', short: 'c' }, cache: { type: 'string' }, metrics: { type: 'string' }, node: { type: 'boolean' } },
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
  await runProxy(values.config, {
    version,
    ...(values.cache === undefined ? {} : { cacheDir: values.cache }),
    ...(values.metrics === undefined ? {} : { metricsAddress: values.metrics }),
  });
}
