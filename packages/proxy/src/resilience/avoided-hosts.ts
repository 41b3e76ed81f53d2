import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { RetryPolicy } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { OmitHostMetadataConfigSchema } from '@outrigger/xds/protos/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config';
import { PreviousPrioritiesConfigSchema } from '@outrigger/xds/protos/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config';
import type { HostPredicate } from '../lb/context.ts';
import type { Host } from '../lb/host.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { typeNameOf, unpack } from '../xds/fields.ts';
import { AVOIDS_NOBODY, type AvoidedHosts } from './retry-policy.ts';

class Canary implements HostPredicate {
  omits({ metadata }: Host): boolean {
    return metadata['canary'] === true;
  }
}

/** Endpoints that have all of these under "envoy.lb"; a list has each of its elements. */
class WithMetadata implements HostPredicate {
  readonly #wanted: readonly (readonly [string, string])[];

  constructor(wanted: JsonObject) {
    this.#wanted = Object.entries(wanted).map(([key, value]) => [key, JSON.stringify(value)]);
  }

  omits({ metadata }: Host): boolean {
    return this.#wanted.every(([key, wanted]) => holds(metadata[key], wanted));
  }
}

function holds(value: JsonValue | undefined, wanted: string): boolean {
  if (value === undefined) return false;
  return JSON.stringify(value) === wanted || (Array.isArray(value) && value.some((one) => JSON.stringify(one) === wanted));
}

class AnyOf implements HostPredicate {
  readonly #predicates: readonly HostPredicate[];

  constructor(predicates: readonly HostPredicate[]) {
    this.#predicates = predicates;
  }

  omits(host: Host): boolean {
    return this.#predicates.some((predicate) => predicate.omits(host));
  }
}

/** RetryPolicy.retry_host_predicate and retry_priority. */
export function compileAvoidedHosts(config: RetryPolicy, path: string, report: CompileReport): AvoidedHosts {
  const predicates: HostPredicate[] = [];
  let previous = false;
  config.retryHostPredicate.forEach(({ name, configType }, index) => {
    const at = `${path}.retry_host_predicate[${index}]`;
    const any: Any | undefined = configType.value;
    switch (any === undefined ? name.slice(name.lastIndexOf('.') + 1) : typeNameOf(any)) {
      case 'previous_hosts':
      case 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate':
        previous = true;
        break;
      case 'omit_canary_hosts':
      case 'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate':
        predicates.push(new Canary());
        break;
      case OmitHostMetadataConfigSchema.typeName: {
        const wanted = unpack(any, OmitHostMetadataConfigSchema, at, report)?.metadataMatch?.filterMetadata['envoy.lb'];
        if (wanted !== undefined && Object.keys(wanted).length > 0) predicates.push(new WithMetadata(wanted));
        break;
      }
      default:
        report.error(at, `${name} is not supported by this proxy`);
    }
  });
  const prioritiesAfter = compilePriority(config.retryPriority, `${path}.retry_priority`, report);
  if (!previous && predicates.length === 0 && prioritiesAfter === 0) return AVOIDS_NOBODY;
  const omitted = predicates.length === 0 ? null : predicates.length === 1 ? predicates[0]! : new AnyOf(predicates);
  return { previous, omitted, prioritiesAfter };
}

function compilePriority(config: RetryPolicy['retryPriority'], path: string, report: CompileReport): number {
  if (config === undefined) return 0;
  const any = config.configType.value;
  if (typeNameOf(any) !== PreviousPrioritiesConfigSchema.typeName) {
    report.error(path, `${config.name} is not supported by this proxy`);
    return 0;
  }
  const frequency = unpack(any, PreviousPrioritiesConfigSchema, `${path}.typed_config`, report)?.updateFrequency ?? 0;
  if (frequency < 1) report.error(`${path}.typed_config.update_frequency`, 'must be at least 1');
  return Math.max(0, frequency);
}
