import type { RegisteredInstance, SrvState } from '@outrigger/discovery';
import { refText } from '@outrigger/resources';
import { upstreamProblems } from '@outrigger/translate';
import type { Problem } from './api/shapes.ts';
import type { WatchedFolder } from './folder/folder.ts';
import type { SettingsSource } from './folder/mesh-settings.ts';
import type { MeshState } from './push/mesh-state.ts';
import type { PushSource } from './push/push-source.ts';
import { srvProblems } from './registry/srv-records.ts';

export interface ProblemSources {
  readonly folder: WatchedFolder | undefined;
  readonly settings: readonly SettingsSource[];
  readonly mesh: MeshState;
  readonly push: PushSource;
  readonly registered: Iterable<RegisteredInstance>;
  readonly srv: Iterable<SrvState>;
  readonly telemetry: { readonly problems: readonly Problem[] };
}

/** Everything that somebody should look at now. */
export function problemsOf({ folder, settings, mesh, push, registered, srv, telemetry }: ProblemSources): Problem[] {
  const quarantined = [...mesh.quarantined.values()].map(({ ref, reason, sinceMs }) => ({
    what: `${refText(ref)} is quarantined: it could not be translated (${reason})`,
    where: refText(ref),
    next: 'Report it with its YAML; a new version of it is tried at once.',
    sinceMs,
  }));
  const refused = [...push.proxies.refusals()].map(({ node, message, sinceMs }) => ({
    what: `${node} refused an update and keeps what it had: ${message}`,
    where: node,
    next: /cannot (listen|bind)/i.test(message)
      ? 'Free that port there, or give it another (rig gateway --port-map PORT=OTHER).'
      : 'Correct the resource that it names, or apply its former version.',
    sinceMs,
  }));
  const upstreams = [...push.proxies.connectedNodes()].flatMap(({ node, sinceMs }) =>
    upstreamProblems(mesh.current, node).map((what) => ({ what, where: node.id, next: 'Name the port: --upstream SERVICE:PORT=ADDRESS.', sinceMs })),
  );
  const attached = [...registered];
  const ill = attached.flatMap(({ instance: { id, health }, reason, saidAtMs }) =>
    health !== 'UNHEALTHY'
      ? []
      : [
          {
            what: `${id} is no endpoint${reason === '' ? '' : `: ${reason}`}`,
            where: id,
            next: 'See to its application there (its log); it is an endpoint again as soon as that takes requests.',
            sinceMs: saidAtMs,
          },
        ],
  );
  const warnings = attached.flatMap(({ instance, warning, saidAtMs }) =>
    warning
      .split('\n')
      .flatMap((what) =>
        what === '' ? [] : [{ what, where: instance.id, next: 'See to it on that machine; a change there is seen at once.', sinceMs: saidAtMs }],
      ),
  );
  return [
    ...(folder?.problems ?? []),
    ...settings.flatMap(({ problems }) => problems),
    ...quarantined,
    ...refused,
    ...upstreams,
    ...ill,
    ...warnings,
    ...srvProblems(srv),
    ...telemetry.problems,
  ];
}
