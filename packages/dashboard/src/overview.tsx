import type { TopRow } from '@outrigger/control-plane/api';
import { type MeshData, windowMs } from './api.ts';
import { Graph } from './graph.tsx';
import type { History } from './history.ts';
import { rowKey } from './history.ts';
import { Breaker, Card, Empty, Figure, Scrolling, Spark } from './parts.tsx';
import { Rollouts } from './rollouts.tsx';
import { tiles } from './summary.ts';
import { gradeOfMtls, gradeOfSuccess, milliseconds, percent, perSecond, serviceName } from './text.ts';

export function Overview({ data, history, nowMs, topAtMs }: { data: MeshData; history: History; nowMs: number; topAtMs: number }) {
  const { graph, top } = data;
  const edges = graph === undefined ? [] : history.edges(graph, topAtMs);
  return (
    <>
      <ul class="tiles" aria-label="The mesh in figures">
        {tiles(data, nowMs).map(({ label, value, detail, grade, page }) => (
          <li key={label}>
            <a class="tile" href={`#${page}`}>
              <span class="label">{label}</span>
              <b class={grade}>{value}</b>
              <span class="detail">{detail}</span>
            </a>
          </li>
        ))}
      </ul>
      <Card title="Who calls whom" note={`requests a second, success, p50 and p99, mutual TLS; as the callers counted in the last ${windowMs / 1000} s`}>
        {graph === undefined ? (
          <div class="graph" />
        ) : graph.nodes.length === 0 ? (
          <div class="graph">
            <Empty
              what="No workload has joined this mesh yet."
              next="Start one: `npx rig run --name web --port 8080:9001 -- COMMAND`. Or the demo mesh: `npm start`."
            />
          </div>
        ) : (
          <Graph graph={graph} edges={edges} rows={top ?? []} />
        )}
      </Card>
      <Rollouts rollouts={data.rollouts} />
      <Card title="Services" note={`as the services’ own sidecars counted in the last ${windowMs / 1000} s; the curves are of the last 3 minutes`}>
        <Traffic rows={top ?? []} history={history} nowMs={topAtMs} />
      </Card>
    </>
  );
}

function Traffic({ rows, history, nowMs }: { rows: readonly TopRow[]; history: History; nowMs: number }) {
  if (rows.length === 0) return <Empty what="No service yet." />;
  return (
    <Scrolling label="Traffic of the services">
      <table class="traffic">
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col">Version</th>
            <th scope="col" class="number">
              Instances
            </th>
            <th scope="col" class="number">
              Requests
            </th>
            <th scope="col">
              <span class="unseen">Requests, lately</span>
            </th>
            <th scope="col" class="number">
              Success
            </th>
            <th scope="col" class="number">
              p50
            </th>
            <th scope="col" class="number">
              p99
            </th>
            <th scope="col">
              <span class="unseen">p99, lately</span>
            </th>
            <th scope="col" class="number">
              mTLS
            </th>
            <th scope="col">Breaker</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const key = rowKey(row);
            return (
              <tr key={key}>
                <th scope="row">
                  <a href={`#services/${row.service}.${row.namespace}`}>{serviceName(row)}</a>
                </th>
                <td>{row.version || <span class="quiet">none</span>}</td>
                <td class={`number ${row.instances === 0 ? 'bad' : ''}`}>{row.instances}</td>
                <Figure text={perSecond(row.requestsPerSecond)} />
                <td>
                  <Spark curve={history.curve(key, 'requestsPerSecond')} nowMs={nowMs} label="requests a second" format={perSecond} />
                </td>
                <Figure text={percent(row.successRatio)} grade={gradeOfSuccess(row.successRatio)} />
                <Figure text={milliseconds(row.p50Ms)} />
                <Figure text={milliseconds(row.p99Ms)} />
                <td>
                  <Spark curve={history.curve(key, 'p99Ms')} nowMs={nowMs} label="p99" format={milliseconds} />
                </td>
                <Figure text={percent(row.mtlsRatio)} grade={gradeOfMtls(row.mtlsRatio)} />
                <td>
                  <Breaker breaker={row.breaker} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scrolling>
  );
}
