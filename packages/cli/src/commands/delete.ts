import type { DeleteTarget, ResourceView } from '@outrigger/control-plane/api';
import { groupOf, kindsNamed, type ResourceRef, readResources, refKey, refOf, refText } from '@outrigger/resources';
import { apiOf } from '../api/control-plane.ts';
import { CliError, ExitCode } from '../error.ts';
import { readConfigFiles } from '../files.ts';
import { groupedKind, kindAndName } from '../kinds.ts';
import { type OutputFormat, printJson } from '../output.ts';
import { printWait, waitExitCode, waitFor, waitSeconds } from './apply.ts';

export interface DeleteOptions {
  kind: string | undefined;
  name: string | undefined;
  filename?: string[];
  namespace: string;
  wait?: boolean | string;
  output: OutputFormat;
  state: string;
}

export async function remove(options: DeleteOptions): Promise<void> {
  const api = apiOf(options.state);
  const seconds = waitSeconds(options.wait);
  const present = (await api.get<ResourceView[]>('/resources')).map(
    ({ apiVersion, kind, namespace, name }): ResourceRef => ({ group: groupOf(apiVersion), kind, namespace, name }),
  );
  const known = new Set(present.map(refKey));
  const targets = await targetsOf(options, known);
  const missing = targets.filter((target) => !known.has(refKey(target)));
  if (missing.length === targets.length) throw new CliError(`${missing.map(refText).join(', ')}: not in the mesh`, { next: '`rig get` lists what is' });
  const resources = targets
    .filter((target) => known.has(refKey(target)))
    .map((target): DeleteTarget => ({ kind: groupedKind(target), namespace: target.namespace, name: target.name }));
  const { revision } = await api.post<{ revision: string }>('/delete', { resources });
  const waited = seconds === undefined ? undefined : await waitFor(api, revision, seconds);
  if (options.output === 'json')
    printJson({ deleted: targets.filter((target) => known.has(refKey(target))), missing, revision, ...(waited ? { wait: waited } : {}) });
  else {
    for (const target of targets) console.log(`${refText(target)} ${known.has(refKey(target)) ? 'deleted' : 'was not there'}`);
    if (waited) printWait(waited);
  }
  if (waited) process.exitCode = waitExitCode(waited);
}

async function targetsOf(options: DeleteOptions, known: ReadonlySet<string>): Promise<ResourceRef[]> {
  if (options.filename && options.filename.length > 0) {
    const parsed = await readResources(readConfigFiles(options.filename), { defaultNamespace: options.namespace });
    const targets = parsed.resources.map(refOf);
    if (targets.length === 0)
      throw new CliError('no resource of the mesh is in these files', {
        where: options.filename.join(', '),
        next: '`rig analyze` says what is wrong with them',
      });
    return targets;
  }
  const { kind, name } = kindAndName(options.kind, options.name);
  if (!kind || !name) throw new CliError('what to delete is not said', { next: '`rig delete -f FILE` or `rig delete KIND NAME`', exitCode: ExitCode.usage });
  const meant = kindsNamed(kind).map((one): ResourceRef => {
    return { group: one.group, kind: one.kind, namespace: one.scope === 'Cluster' ? '' : options.namespace, name };
  });
  if (meant.length === 0) throw new CliError(`there is no kind "${kind}"`, { next: '`rig get` lists what is in the mesh, with its kind' });
  const found = meant.filter((target) => known.has(refKey(target)));
  if (found.length > 1)
    throw new CliError(`${refText(found[0]!)} is the name of ${found.length} resources`, {
      next: found.map((target) => `\`rig delete ${groupedKind(target)} ${name}\``).join(' or '),
      exitCode: ExitCode.usage,
    });
  return found.length === 1 ? found : meant.slice(0, 1);
}
