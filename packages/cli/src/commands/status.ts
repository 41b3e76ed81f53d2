import type { Problem, ProxyView, SettingNote, VersionInfo } from '@outrigger/control-plane/api';
import { apiOf } from '../api/control-plane.ts';
import { duration, type OutputFormat, printJson, table } from '../output.ts';

export async function status(options: { output: OutputFormat; state: string }): Promise<void> {
  const api = apiOf(options.state);
  const [version, proxies, problems, notes] = await Promise.all([
    api.get<VersionInfo>('/version'),
    api.get<ProxyView[]>('/proxies'),
    api.get<Problem[]>('/problems'),
    api.get<SettingNote[]>('/notes'),
  ]);
  if (options.output === 'json') return printJson({ version, proxies, problems, notes });
  console.log(
    `control plane ${version.version}, trust domain ${version.trustDomain}, configuration ${version.configRevision}, up for ${duration(Date.now() - version.startedAtMs)}`,
  );
  if (proxies.length === 0) console.log('no proxy is connected; `rig run --name NAME --port PORT -- COMMAND` starts one');
  else
    console.log(
      table(
        ['PROXY', 'DATA PLANE', 'CONNECTED', 'SYNC', 'CONFIG', 'CERTIFICATE'],
        proxies.map((proxy) => [
          proxy.node,
          proxy.dataPlane,
          proxy.connected ? 'yes' : `no, for ${duration(Date.now() - proxy.lastSeenMs)}`,
          syncText(proxy),
          proxy.configRevision || '-',
          proxy.certificateExpiresAtMs === null ? '-' : `${duration(proxy.certificateExpiresAtMs - Date.now())} left`,
        ]),
      ),
    );
  for (const proxy of proxies) if (proxy.refusal) console.log(`refused by ${proxy.node}: ${proxy.refusal}`);
  for (const problem of problems)
    console.log(`problem: ${problem.what}\n  where: ${problem.where}\n  next:  ${problem.next}\n  for:   ${duration(Date.now() - problem.sinceMs)}`);
  for (const { what, where } of notes) console.log(`note: ${what}\n  where: ${where}`);
}

function syncText(proxy: ProxyView): string {
  if (!proxy.connected) return '-';
  const types = Object.entries(proxy.sync);
  const late = types.filter(([, state]) => state !== 'synced' && state !== 'not-sent');
  return late.length === 0 ? 'synced' : late.map(([type, state]) => `${type} ${state}`).join(', ');
}
