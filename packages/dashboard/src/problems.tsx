import type { Problem } from '@outrigger/control-plane/api';
import type { MeshData } from './api.ts';
import { Card, Empty, withCode } from './parts.tsx';
import { count, duration } from './text.ts';

export function Problems({ data, nowMs }: { data: MeshData; nowMs: number }) {
  const { problems } = data;
  if (problems === undefined) return null;
  return (
    <Card title="Problems" note={problems.length === 0 ? undefined : count(problems.length, 'thing to look at', 'things to look at')}>
      {problems.length === 0 ? (
        <Empty
          what="None that the control plane knows of."
          next="It looks for files of a watched folder that it cannot take, resources that it cannot translate, updates that a proxy refused, and sidecars whose metrics it cannot read. `npx rig check` looks at this machine too."
        />
      ) : (
        <ul class="problems">
          {problems.map((problem) => (
            <Row key={`${problem.where} ${problem.what}`} problem={problem} nowMs={nowMs} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Row({ problem: { what, where, next, sinceMs }, nowMs }: { problem: Problem; nowMs: number }) {
  return (
    <li>
      <p>
        <b>{withCode(what)}</b>
      </p>
      <p>
        <code>{where}</code> <span class="quiet">for {duration(nowMs - sinceMs)}</span>
      </p>
      <p>{withCode(next)}</p>
    </li>
  );
}
