import type { ResourceView } from '@outrigger/control-plane/api';
import { stringify } from 'yaml';
import { apiOf } from '../api/control-plane.ts';
import { CliError } from '../error.ts';
import { type OutputFormat, printJson, table } from '../output.ts';

export interface GetOptions {
  kind: string | undefined;
  name: string | undefined;
  namespace?: string;
  output: OutputFormat | 'yaml';
  state: string;
}

export async function get(options: GetOptions): Promise<void> {
  const query = new URLSearchParams();
  if (options.kind) query.set('kind', options.kind);
  if (options.name) query.set('name', options.name);
  if (options.namespace) query.set('namespace', options.namespace);
  const resources = await apiOf(options.state).get<ResourceView[]>(`/resources?${query}`);
  if (options.name && resources.length === 0)
    throw new CliError(`${options.kind} ${options.namespace ?? ''}${options.namespace ? '/' : ''}${options.name}: not in the mesh`, {
      next: '`rig get` lists what is',
    });
  if (options.output === 'json') return printJson(resources);
  if (options.output === 'yaml') {
    console.log(
      resources
        .map(({ manifest }) => stringify(manifest))
        .join('---\n')
        .trimEnd(),
    );
    return;
  }
  if (resources.length === 0) {
    console.log('no resources');
    return;
  }
  console.log(
    table(
      ['KIND', 'NAMESPACE', 'NAME', 'STATUS', 'WHAT IT DOES'],
      resources.map(({ kind, namespace, name, status }) => [kind, namespace || '-', name, status.state, status.summary]),
    ),
  );
  for (const { kind, namespace, name, status } of resources) {
    for (const note of status.notes) console.log(`note: ${kind} ${namespace}/${name}: ${note}`);
    for (const { node, message } of status.refused) console.log(`refused: ${kind} ${namespace}/${name} by ${node}: ${message}`);
  }
}
