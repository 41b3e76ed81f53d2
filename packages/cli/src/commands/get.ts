import type { ResourceView } from '@outrigger/control-plane/api';
import { refText } from '@outrigger/resources';
import { stringify } from 'yaml';
import { apiOf } from '../api/control-plane.ts';
import { CliError } from '../error.ts';
import { kindAndName, kindText } from '../kinds.ts';
import { type OutputFormat, printJson, table } from '../output.ts';

export interface GetOptions {
  kind: string | undefined;
  name: string | undefined;
  namespace?: string;
  output: OutputFormat | 'yaml';
  state: string;
}

export async function get(options: GetOptions): Promise<void> {
  const { kind, name } = kindAndName(options.kind, options.name);
  const query = new URLSearchParams();
  if (kind) query.set('kind', kind);
  if (name) query.set('name', name);
  if (options.namespace) query.set('namespace', options.namespace);
  const resources = await apiOf(options.state).get<ResourceView[]>(`/resources?${query}`);
  if (name && resources.length === 0)
    throw new CliError(`${kind} ${options.namespace ?? ''}${options.namespace ? '/' : ''}${name}: not in the mesh`, {
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
      resources.map((resource) => [kindText(resource, resources), resource.namespace || '-', resource.name, resource.status.state, resource.status.summary]),
    ),
  );
  for (const resource of resources) {
    const { namespace, name, status } = resource;
    const title = refText({ group: '', kind: kindText(resource, resources), namespace, name });
    for (const note of status.notes) console.log(`note: ${title}: ${note}`);
    for (const { node, message } of status.refused) console.log(`refused: ${title} by ${node}: ${message}`);
  }
}
