import { fullHost, type Instance, matchesLabels, type Resource, type RolloutSpec, type Service } from '@outrigger/resources';
import type { Presence } from './decide.ts';
import type { ArmKey } from './evidence.ts';
import { overlay, subsetLabels } from './overlay.ts';

export interface RolloutWorld {
  service(hostname: string): Service | undefined;
  instancesOf(hostname: string): readonly Instance[];
}

/** The two versions of a rollout as they are in the mesh now. */
export interface Arms {
  readonly service: Pick<Service, 'hostname' | 'name' | 'namespace'>;
  readonly from: ArmKey;
  readonly to: ArmKey;
  readonly present: Presence;
  /** Whether the instances of both have sidecars, which count for them. */
  readonly asCalled: boolean;
}

/** Why a rollout cannot begin. */
export interface Refusal {
  readonly reason: string;
  readonly next: string;
}

export function hostOf(rollout: Resource<RolloutSpec>, domainSuffix: string): string {
  return fullHost(rollout.spec.service, rollout.metadata.namespace, domainSuffix);
}

/** Who the two versions are. */
export function armsOf(
  service: Arms['service'],
  from: string,
  to: string,
  input: { readonly resources: readonly Resource[]; readonly world: RolloutWorld; readonly domainSuffix: string },
): Arms {
  const labelsOf = subsetLabels({ ...input, service });
  const all = input.world.instancesOf(service.hostname);
  const selected = (subset: string): Instance[] => all.filter((instance) => matchesLabels(labelsOf(subset), instance.labels));
  const [old, fresh] = [selected(from), selected(to)];
  const healthy = (instances: readonly Instance[]): number => instances.filter(({ health }) => health === 'HEALTHY').length;
  const key = (subset: string, instances: readonly Instance[]): ArmKey => ({
    subset,
    versions: new Set([
      ...instances.map(({ labels }) => labels['version'] ?? ''),
      ...(labelsOf(subset)['version'] === undefined ? [] : [labelsOf(subset)['version']!]),
    ]),
  });
  return {
    service,
    from: key(from, old),
    to: key(to, fresh),
    present: { from: healthy(old), to: healthy(fresh), others: healthy(all.filter((instance) => !old.includes(instance) && !fresh.includes(instance))) },
    asCalled: [...old, ...fresh].every(({ meshed }) => meshed),
  };
}

/** Whether a rollout can begin, and from which version. */
export function admit(
  rollout: Resource<RolloutSpec>,
  input: {
    readonly resources: readonly Resource[];
    readonly world: RolloutWorld;
    readonly domainSuffix: string;
    /** Name of the rollout of the same service that is under way. */
    readonly other: string | undefined;
    /** Where the last rollout of the service has ended. */
    readonly at: string | undefined;
  },
): { readonly from: string; readonly arms: Arms; readonly routes: readonly string[] } | Refusal {
  const hostname = hostOf(rollout, input.domainSuffix);
  const { to, sticky } = rollout.spec;
  const service = input.world.service(hostname);
  if (service === undefined)
    return { reason: `there is no service ${hostname}`, next: 'rig top lists what there is; a service of another namespace has its full name' };
  if (input.other !== undefined)
    return { reason: `rollout ${input.other} of ${service.name} is under way`, next: `Wait until it is over, or end it: rig rollout abort ${input.other}` };
  const versions = [...new Set(input.world.instancesOf(hostname).map(({ labels }) => labels['version'] ?? ''))].filter((version) => version !== '');
  const others = versions.filter((version) => version !== to);
  const at = input.at === to ? undefined : input.at;
  const from = rollout.spec.from ?? at ?? (others.length === 1 ? others[0] : undefined);
  const nobody = (name: string): Refusal => ({
    reason: `${service.name} has no healthy instance of ${name}`,
    next: `Start one first: rig run --name ${service.name} --version ${name} ...${versions.length === 0 ? '' : `; there are ${versions.join(', ')}`}`,
  });
  if (from === undefined) {
    if (armsOf(service, to, to, input).present.to === 0) return nobody(to);
    const reason = others.length === 0 ? `${service.name} has no version other than ${to}` : `${service.name} has several versions: ${others.join(', ')}`;
    return { reason, next: 'Say from which one to go: --from VERSION; versions are values of the label version, or subsets of a DestinationRule' };
  }
  const arms = armsOf(service, from, to, input);
  for (const [name, count] of [
    [to, arms.present.to],
    [from, arms.present.from],
  ] as const)
    if (count === 0) return nobody(name);
  const both = [...arms.from.versions].filter((version) => arms.to.versions.has(version));
  if (both.length > 0) {
    const reason = `instances of ${from} and of ${to} have the same label version (${both.map((version) => version || 'none').join(', ')}), by which their traffic is told apart`;
    return { reason, next: 'Give the two versions different values of the label version' };
  }
  const { conflict, routes } = overlay({ ...input, service, from, to, split: { to: 0, mirror: 0 }, sticky });
  if (conflict !== undefined) return { reason: conflict, next: `Change that route so that it leads to ${service.name} as a whole, or to ${from} alone` };
  return { from, arms, routes };
}
