import { matchesLabels, type TelemetrySpec, type TelemetryTag } from '@outrigger/resources';
import type { CustomTagSchema } from '@outrigger/xds/protos/envoy/type/tracing/v3/custom_tag';
import { targetsNode } from '../gateways/api/targets.ts';
import type { Telemetry } from '../mesh.ts';
import type { Init } from '../messages.ts';
import type { Reader } from '../reader.ts';

/** Which end of a call a listener is: a gateway calls. */
type Direction = 'inbound' | 'outbound';

/** What Telemetry resources say of traces; what none of them says is left out. */
export interface TracingWishes {
  readonly off: boolean;
  readonly percent: number | undefined;
  readonly tags: readonly Init<typeof CustomTagSchema>[];
}

/** The name of the provider that is the proxy's own log. */
const OWN_LOG = 'envoy';

/** Those that hold for the node: of the root namespace, of its own, and the workload's; each after the one that it overrides. */
function telemetryFor(reader: Reader): readonly Telemetry[] {
  return reader.once(FOR_NODE, () => {
    const { node, settings } = reader;
    const inRoot = reader.telemetries(settings.rootNamespace);
    const own = node.namespace === settings.rootNamespace ? inRoot : reader.telemetries(node.namespace);
    const mesh = inRoot.find(isForAll);
    const namespace = own === inRoot ? undefined : own.find(isForAll);
    const workload = own.find((telemetry) => !isForAll(telemetry) && isFor(reader, telemetry));
    const found = [mesh, namespace, workload].filter((telemetry) => telemetry !== undefined);
    for (const telemetry of found) reader.uses(telemetry);
    return found;
  });
}

const FOR_NODE = Symbol('Telemetry');

function targetsOf({ targetRef, targetRefs = [] }: TelemetrySpec) {
  return targetRef === undefined ? targetRefs : [targetRef, ...targetRefs];
}

function isForAll({ spec }: Telemetry): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length === 0 && targetsOf(spec).length === 0;
}

function isFor(reader: Reader, { spec, metadata }: Telemetry): boolean {
  const targets = targetsOf(spec);
  return targets.length > 0 ? targetsNode(reader, metadata.namespace, targets) : matchesLabels(spec.selector?.matchLabels, reader.node.labels);
}

function matches(mode: string | undefined, direction: Direction): boolean {
  return mode === undefined || mode === 'CLIENT_AND_SERVER' || mode === (direction === 'inbound' ? 'SERVER' : 'CLIENT');
}

/** Whether the proxy's own log is switched off for a listener. */
export function isLogOff(reader: Reader, direction: Direction): boolean {
  let off = false;
  for (const telemetry of telemetryFor(reader)) {
    for (const [index, { match, providers = [], disabled }] of (telemetry.spec.accessLogging ?? []).entries()) {
      if (providers.length > 0 && !providers.some(({ name }) => name === OWN_LOG))
        reader.ignored(telemetry, `spec.accessLogging[${index}].providers`, `the one log here is the proxy's own, which is the provider "${OWN_LOG}"`);
      else if (matches(match?.mode, direction)) off = disabled === true;
    }
  }
  return off;
}

export function tracingWishes(reader: Reader, direction: Direction): TracingWishes {
  let wishes: TracingWishes = { off: false, percent: undefined, tags: [] };
  for (const telemetry of telemetryFor(reader)) {
    for (const [index, { match, disableSpanReporting, randomSamplingPercentage, customTags }] of (telemetry.spec.tracing ?? []).entries()) {
      if (!matches(match?.mode, direction)) continue;
      if (customTags !== undefined) reader.ignored(telemetry, `spec.tracing[${index}].customTags`, 'spans have the tags of the mesh alone', 'outrigger');
      wishes = {
        off: disableSpanReporting ?? wishes.off,
        percent: randomSamplingPercentage ?? wishes.percent,
        tags: customTags === undefined ? wishes.tags : Object.entries(customTags).flatMap(([tag, from]) => tagOf(tag, from) ?? []),
      };
    }
  }
  return wishes;
}

function tagOf(tag: string, { literal, environment, header }: TelemetryTag): Init<typeof CustomTagSchema> | undefined {
  if (literal !== undefined) return { tag, type: { case: 'literal', value: { value: literal.value ?? '' } } };
  if (environment !== undefined)
    return { tag, type: { case: 'environment', value: { name: environment.name ?? '', defaultValue: environment.defaultValue ?? '' } } };
  if (header === undefined) return undefined;
  return { tag, type: { case: 'requestHeader', value: { name: header.name ?? '', defaultValue: header.defaultValue ?? '' } } };
}
