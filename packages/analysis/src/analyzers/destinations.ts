import type { Destination, VirtualServiceSpec } from '@outrigger/resources';

export interface PlacedDestination {
  readonly destination: Destination;
  /** "spec.http[0].route[1].destination" */
  readonly path: string;
  readonly mirror: boolean;
}

/** Every destination that a VirtualService names, mirrors included. One that is missing counts with an empty host. */
export function destinationsOf(spec: VirtualServiceSpec): readonly PlacedDestination[] {
  const found: PlacedDestination[] = [];
  const add = (destination: Destination | undefined, path: string, mirror = false): void => {
    found.push({ destination: { ...destination, host: destination?.host ?? '' }, path, mirror });
  };
  for (const protocol of ['http', 'tcp', 'tls'] as const) {
    for (const [rule, { route }] of (spec[protocol] ?? []).entries()) {
      for (const [index, target] of (route ?? []).entries()) add(target.destination, `spec.${protocol}[${rule}].route[${index}].destination`);
    }
  }
  for (const [rule, { mirror, mirrors }] of (spec.http ?? []).entries()) {
    if (mirror !== undefined) add(mirror, `spec.http[${rule}].mirror`, true);
    for (const [index, target] of (mirrors ?? []).entries()) add(target.destination, `spec.http[${rule}].mirrors[${index}].destination`, true);
  }
  return found;
}
