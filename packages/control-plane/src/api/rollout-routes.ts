import { isKind, readResources } from '@outrigger/resources';
import type { Configuration } from '../config/configuration.ts';
import type { Rollouts } from '../rollout/rollouts.ts';
import { ApiFailure } from './api-failure.ts';
import type { RolloutActionName, RolloutRequest, RolloutView } from './rollout-shapes.ts';
import type { Handler, Route } from './route.ts';

export interface RolloutParts {
  readonly configuration: Configuration;
  readonly rollouts: Rollouts;
}

/** What history tells of where it came from. */
const ORIGIN = 'rig rollout start';

/** `guarded` turns what the parts throw into answers. */
export function rolloutRoutes({ configuration, rollouts }: RolloutParts, guarded: (handle: Handler) => Handler): Route[] {
  return [
    { method: 'GET', path: /^\/rollouts$/, handle: guarded(() => rollouts.views()) },
    { method: 'POST', path: /^\/rollouts$/, handle: guarded(({ body, caller }) => start(configuration, rollouts, body, caller)) },
    {
      method: 'POST',
      path: /^\/rollouts\/([^/]+)\/([^/]+)\/(pause|resume|promote|abort)$/,
      handle: guarded(({ params: [namespace = '', name = '', action = ''] }) => {
        const done = rollouts.act(namespace, name, action as RolloutActionName);
        const where = `Rollout ${namespace}/${name}`;
        if (done === undefined) throw new ApiFailure(404, 'NOT_FOUND', `${where} is not here`, where, 'rig rollout list shows what is');
        if (typeof done === 'string') throw new ApiFailure(409, 'REFUSED', `rollout ${name}: ${done}`, where, `rig rollout status ${name} shows how it stands`);
        return done;
      }),
    },
  ];
}

/** Writes the Rollout, where it can begin at once; else nothing is changed. */
async function start(configuration: Configuration, rollouts: Rollouts, body: unknown, by: string): Promise<RolloutView> {
  const { namespace, name, spec } = request(body);
  const text = JSON.stringify({ apiVersion: 'outrigger.dev/v1alpha1', kind: 'Rollout', metadata: { name, namespace }, spec });
  const file = { file: ORIGIN, text };
  const { resources } = await readResources([file]);
  const candidate = resources.find((resource) => isKind(resource, 'Rollout'));
  // What is not valid at all, apply refuses in its own words.
  const refusal = candidate === undefined ? undefined : rollouts.refusalOf(candidate);
  if (refusal !== undefined) throw new ApiFailure(409, 'REFUSED', `the rollout cannot begin: ${refusal.reason}`, `Rollout ${namespace}/${name}`, refusal.next);
  const { applied } = await configuration.apply([file], { by });
  // The same once more is no change of what is written, but is meant to begin again.
  if (applied[0]?.change === 'unchanged') rollouts.again(namespace, name);
  const view = rollouts.view(namespace, name);
  if (view === undefined) throw new ApiFailure(409, 'REFUSED', 'the rollout was removed again at once', name, 'rig history shows who did that');
  return view;
}

function request(body: unknown): RolloutRequest {
  const { namespace, name, spec } = (typeof body === 'object' && body !== null ? body : {}) as Partial<Record<keyof RolloutRequest, unknown>>;
  const label = (text: unknown): text is string => typeof text === 'string' && /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text);
  if (!label(namespace) || !label(name)) throw new ApiFailure(400, 'BAD_REQUEST', 'namespace and name must be names', 'name', 'Correct the request');
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec))
    throw new ApiFailure(400, 'BAD_REQUEST', 'spec must be the spec of a Rollout', 'spec', 'Correct the request');
  return { namespace, name, spec: spec as Record<string, unknown> };
}
