import type { ResourceView } from '@outrigger/control-plane/api';
import { readResources } from '@outrigger/resources';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { printWait, waitExitCode, waitFor } from './apply.ts';

export interface DeleteOptions {
  kind: string | undefined;
  name: string | undefined;
  filename?: string[];
  namespace: string;
  wait?: boolean | string;
  output: OutputFormat;
  state: string;
}

interface Target {
  kind: string;
  namespace: string;
  name: string;
}

export async function remove(options: DeleteOptions): Promise<void> {
  const targets = await targetsOf(options);
  const api = apiOf(options.state);
  const present = await api.get<ResourceView[]>('/resources');
  const key = (target: Target): string => `${target.kind} ${target.namespace}/${target.name}`;
  const known = new Set(present.map(key));
  const missing = targets.filter((target) => !known.has(key(target)));
  if (missing.length === targets.length) throw new CliError(`${missing.map(key).join(', ')}: not in the mesh`, { next: '`rig get` lists what is' });
  let revision = '';
  // Routes go before what they lead to.
  const order = [...targets].sort((a, b) => Number(isRoute(b)) - Number(isRoute(a)));
  for (const target of order) {
    if (!known.has(key(target))) continue;
    revision = (await api.delete<{ revision: string }>(`/resources/${target.kind}/${target.namespace === '' ? '-' : target.namespace}/${target.name}`))
      .revision;
  }
  const waited = options.wait ? await waitFor(api, revision, options.wait) : undefined;
  if (options.output === 'json')
    printJson({ deleted: targets.filter((target) => known.has(key(target))), missing, revision, ...(waited ? { wait: waited } : {}) });
  else {
    for (const target of targets) console.log(known.has(key(target)) ? `${key(target)} deleted` : `${key(target)} was not there`);
    if (waited) printWait(waited);
  }
  if (waited) process.exitCode = waitExitCode(waited);
}

function isRoute({ kind }: Target): boolean {
  return kind === 'VirtualService' || kind.endsWith('Route');
}

async function targetsOf(options: DeleteOptions): Promise<Target[]> {
  if (options.filename && options.filename.length > 0) {
    const parsed = await readResources(readConfigFiles(options.filename), { defaultNamespace: options.namespace });
    const targets = parsed.resources.map(({ kind, metadata }) => ({ kind, namespace: metadata.namespace, name: metadata.name }));
    if (targets.length === 0)
      throw new CliError('no resource of the mesh is in these files', {
        where: options.filename.join(', '),
        next: '`rig analyze` says what is wrong with them',
      });
    return targets;
  }
  if (!options.kind || !options.name)
    throw new CliError('what to delete is not said', { next: '`rig delete -f FILE` or `rig delete KIND NAME`', exitCode: ExitCode.usage });
  return [{ kind: options.kind, namespace: options.namespace, name: options.name }];
}
