import type { Problem, ProxyView, ResourceView, ServiceView, TopRow } from '@outrigger/control-plane/api';
import { duration, grade, milliseconds, percent } from './text.ts';

export function Traffic({ rows }: { rows: readonly TopRow[] }) {
  return (
    <section class="card">
      <h2>Traffic, as the servers' sidecars counted it</h2>
      <table>
        <thead>
          <tr>
            <th>service</th>
            <th>version</th>
            <th class="number">instances</th>
            <th class="number">rate</th>
            <th class="number">success</th>
            <th class="number">p50</th>
            <th class="number">p99</th>
            <th class="number">mTLS</th>
            <th>breaker</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.namespace}/${row.service}/${row.version}`}>
              <td>{row.namespace === 'default' ? row.service : `${row.service}.${row.namespace}`}</td>
              <td>{row.version || '-'}</td>
              <td class="number">{row.instances}</td>
              <td class="number">{row.requestsPerSecond.toFixed(1)}/s</td>
              <td class={`number ${grade(row.successRatio)}`}>{percent(row.successRatio)}</td>
              <td class="number">{milliseconds(row.p50Ms)}</td>
              <td class="number">{milliseconds(row.p99Ms)}</td>
              <td class={`number ${row.mtlsRatio === null ? '' : row.mtlsRatio === 1 ? 'good' : 'warn'}`}>{percent(row.mtlsRatio)}</td>
              <td class={row.breaker.open > 0 ? 'bad' : row.breaker.halfOpen > 0 ? 'warn' : ''}>
                {row.breaker.open === 0 && row.breaker.halfOpen === 0
                  ? 'closed'
                  : `${row.breaker.open} of ${row.breaker.endpoints} open${row.breaker.halfOpen > 0 ? `, ${row.breaker.halfOpen} half-open` : ''}`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

export function Services({ services }: { services: readonly ServiceView[] }) {
  return (
    <section class="card">
      <h2>Services</h2>
      <table>
        <thead>
          <tr>
            <th>service</th>
            <th>ports</th>
            <th>instance</th>
            <th>version</th>
            <th>address</th>
            <th>health</th>
          </tr>
        </thead>
        <tbody>
          {services.flatMap((service) =>
            (service.instances.length === 0 ? [undefined] : service.instances).map((instance, index) => (
              <tr key={`${service.hostname} ${instance?.id ?? ''}`}>
                <td>{index === 0 ? service.hostname : ''}</td>
                <td>{index === 0 ? service.ports.map(({ protocol, port }) => `${protocol} ${port}`).join(', ') : ''}</td>
                <td>{instance?.id ?? <span class="warn">no instance</span>}</td>
                <td>{instance?.version || '-'}</td>
                <td>
                  <code>{instance?.address ?? ''}</code>
                </td>
                <td class={instance === undefined ? '' : instance.health === 'HEALTHY' ? 'good' : instance.health === 'DRAINING' ? 'warn' : 'bad'}>
                  {instance === undefined ? '' : `${instance.health.toLowerCase()}${instance.reason === '' ? '' : `: ${instance.reason}`}`}
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </section>
  );
}

export function Proxies({ proxies, nowMs }: { proxies: readonly ProxyView[]; nowMs: number }) {
  return (
    <section class="card">
      <h2>Proxies</h2>
      <table>
        <thead>
          <tr>
            <th>proxy</th>
            <th>data plane</th>
            <th>connected</th>
            <th>configuration</th>
            <th>certificate</th>
            <th>identity</th>
          </tr>
        </thead>
        <tbody>
          {proxies.map((proxy) => {
            const late = Object.entries(proxy.sync).filter(([, state]) => state === 'stale' || state === 'refused');
            return (
              <tr key={proxy.node}>
                <td>{proxy.node}</td>
                <td>{proxy.dataPlane}</td>
                <td class={proxy.connected ? 'good' : 'bad'}>{proxy.connected ? 'yes' : `no, for ${duration(nowMs - proxy.lastSeenMs)}`}</td>
                <td class={late.length === 0 ? 'good' : 'bad'}>
                  {late.length === 0 ? 'in sync' : late.map(([type, state]) => `${type} ${state}`).join(', ')}
                  {proxy.refusal !== null && <div class="bad">{proxy.refusal}</div>}
                </td>
                <td>{proxy.certificateExpiresAtMs === null ? '-' : `${duration(proxy.certificateExpiresAtMs - nowMs)} left`}</td>
                <td>
                  <code>{proxy.spiffeId}</code>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

const stateClass: Record<ResourceView['status']['state'], string> = {
  accepted: 'quiet',
  'in-effect': 'good',
  pending: 'warn',
  shadowed: 'warn',
  'without-effect': 'warn',
  partly: 'warn',
  quarantined: 'bad',
};

export function Resources({ resources }: { resources: readonly ResourceView[] }) {
  return (
    <section class="card">
      <h2>Resources</h2>
      {resources.length === 0 && <p class="quiet">None yet: `rig apply -f FILE` writes one.</p>}
      {resources.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>kind</th>
              <th>namespace</th>
              <th>name</th>
              <th>status</th>
              <th>what it does</th>
            </tr>
          </thead>
          <tbody>
            {resources.map(({ kind, namespace, name, status }) => (
              <tr key={`${kind} ${namespace}/${name}`}>
                <td>{kind}</td>
                <td>{namespace || '-'}</td>
                <td>{name}</td>
                <td class={stateClass[status.state]}>{status.state}</td>
                <td>
                  {status.summary}
                  {status.notes.map((note) => (
                    <div class="quiet" key={note}>
                      {note}
                    </div>
                  ))}
                  {status.refused.map(({ node, message }) => (
                    <div class="bad" key={node}>
                      refused by {node}: {message}
                    </div>
                  ))}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

export function Problems({ problems, nowMs }: { problems: readonly Problem[]; nowMs: number }) {
  if (problems.length === 0) return null;
  return (
    <section class="card banner">
      <h2 class="bad">Problems</h2>
      {problems.map((problem) => (
        <p key={`${problem.where} ${problem.what}`}>
          <b>{problem.what}</b>
          <br />
          <code>{problem.where}</code>, for {duration(nowMs - problem.sinceMs)}. {problem.next}
        </p>
      ))}
    </section>
  );
}
