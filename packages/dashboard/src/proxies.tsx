import type { ProxyView } from '@outrigger/control-plane/api';
import type { MeshData } from './api.ts';
import { Card, Empty, Scrolling, State } from './parts.tsx';
import { type Sync, syncOf } from './summary.ts';
import { count, duration, type Grade } from './text.ts';

const syncGrade: Record<Sync, Grade> = { 'in sync': 'good', behind: 'warn', refused: 'bad', away: 'unknown' };
const dataPlanes: Record<ProxyView['dataPlane'], string> = { outrigger: 'Outrigger', envoy: 'Envoy', grpc: 'gRPC, no proxy' };

export function Proxies({ data, nowMs }: { data: MeshData; nowMs: number }) {
  const { proxies, version } = data;
  if (proxies === undefined) return null;
  const connected = proxies.filter((proxy) => proxy.connected).length;
  return (
    <Card
      title="Proxies"
      note={`${connected} of ${count(proxies.length, 'proxy', 'proxies')} connected; the configuration is ${version?.configRevision ?? 'not known'}`}
    >
      {proxies.length === 0 ? (
        <Empty what="No proxy has connected yet." next="`npx rig run --name web --port 8080:9001 -- COMMAND` starts an application with one." />
      ) : (
        <Scrolling label="Proxies">
          <table class="proxies">
            <thead>
              <tr>
                <th scope="col">Proxy</th>
                <th scope="col">Version</th>
                <th scope="col">Data plane</th>
                <th scope="col">Connected</th>
                <th scope="col">Sync</th>
                <th scope="col" class="number">
                  Configuration
                </th>
                <th scope="col" class="number">
                  Certificate
                </th>
                <th scope="col">Identity</th>
              </tr>
            </thead>
            <tbody>
              {proxies.map((proxy) => (
                <Row key={proxy.node} proxy={proxy} nowMs={nowMs} />
              ))}
            </tbody>
          </table>
        </Scrolling>
      )}
    </Card>
  );
}

function Row({ proxy, nowMs }: { proxy: ProxyView; nowMs: number }) {
  const sync = syncOf(proxy);
  const late = Object.entries(proxy.sync).filter(([, state]) => state === 'stale' || state === 'refused');
  const leftMs = proxy.certificateExpiresAtMs === null ? undefined : proxy.certificateExpiresAtMs - nowMs;
  return (
    <tr>
      <th scope="row">{proxy.node}</th>
      <td>{proxy.version || <span class="quiet">none</span>}</td>
      <td>{dataPlanes[proxy.dataPlane]}</td>
      <td>{proxy.connected ? 'yes' : <span class="warn">no, for {duration(nowMs - proxy.lastSeenMs)}</span>}</td>
      <td>
        <State grade={syncGrade[sync]}>{sync === 'away' ? 'not known' : sync}</State>
        {late.length > 0 && <span class="quiet"> {late.map(([type, state]) => `${type} ${state}`).join(', ')}</span>}
        {proxy.refusal !== null && <div class="bad">{proxy.refusal}</div>}
      </td>
      <td class="number">{proxy.configRevision || <span class="quiet">none yet</span>}</td>
      <td class={`number ${leftMs !== undefined && leftMs <= 0 ? 'bad' : ''}`}>
        {leftMs === undefined ? <span class="quiet">not known</span> : leftMs <= 0 ? `over for ${duration(-leftMs)}` : `${duration(leftMs)} left`}
      </td>
      <td>
        <code>{proxy.spiffeId}</code>
      </td>
    </tr>
  );
}
