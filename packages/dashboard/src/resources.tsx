import type { ResourceView } from '@outrigger/control-plane/api';
import { useState } from 'preact/hooks';
import { stringify } from 'yaml';
import type { MeshData } from './api.ts';
import { Card, Empty, State, withCode } from './parts.tsx';
import { count, duration, type Grade } from './text.ts';

const stateGrade: Record<ResourceView['status']['state'], Grade> = {
  accepted: 'unknown',
  'in-effect': 'good',
  pending: 'warn',
  shadowed: 'warn',
  'without-effect': 'warn',
  partly: 'bad',
  quarantined: 'bad',
};

export function Resources({ data, nowMs }: { data: MeshData; nowMs: number }) {
  const { resources } = data;
  if (resources === undefined) return null;
  return (
    <Card title="Resources" note={`${count(resources.length, 'resource')}; open one for its notes and its YAML`}>
      {resources.length === 0 ? (
        <Empty what="None: the mesh’s defaults hold." next="`npx rig apply -f FILE` writes resources. The demo’s are in `examples/shop`." />
      ) : (
        <ul class="resources">
          {resources.map((resource) => (
            <Resource key={`${resource.apiVersion} ${resource.kind} ${resource.namespace}/${resource.name}`} resource={resource} nowMs={nowMs} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Resource({ resource, nowMs }: { resource: ResourceView; nowMs: number }) {
  const { kind, namespace, name, status, origin, creationTimestamp, manifest } = resource;
  const created = Date.parse(creationTimestamp);
  const [open, setOpen] = useState(false);
  return (
    <li>
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <span class="kind">{kind}</span>
          <b>
            {namespace === '' ? '' : <span class="quiet">{namespace}/</span>}
            {name}
          </b>
          <State grade={stateGrade[status.state]}>{status.state.replace('-', ' ')}</State>
          <span class="says">{status.summary}</span>
        </summary>
        {status.laggards.length > 0 && <p class="warn">Not acknowledged yet by {status.laggards.join(', ')}.</p>}
        {status.refused.map(({ node, message }) => (
          <p class="bad" key={node}>
            Refused by {node}: {message}
          </p>
        ))}
        {status.notes.length > 0 && (
          <ul class="notes">
            {status.notes.map((note) => (
              <li key={note}>{withCode(note)}</li>
            ))}
          </ul>
        )}
        <p class="quiet">
          {origin === null ? 'Of no file' : `From ${origin.file}:${origin.line}`}
          {Number.isNaN(created) ? '' : `, ${duration(nowMs - created)} old`}
        </p>
        {open && <pre>{stringify(manifest)}</pre>}
      </details>
    </li>
  );
}
