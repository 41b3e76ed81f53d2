import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { type TypedExtensionConfig, TypedExtensionConfigSchema } from '@outrigger/xds/protos/envoy/config/core/v3/extension';
import { FractionalPercentSchema } from '@outrigger/xds/protos/envoy/type/v3/percent';
import { fraction } from '../routes/filters.ts';

const SAMPLERS = 'envoy.extensions.tracers.opentelemetry.samplers.v3';

/**
 * Envoy's sampler that follows the caller's `traceparent`, and where there is none samples `percent` by the trace id.
 * Both messages are younger than the generated ones, so each is written by its one field.
 */
export function parentBasedSampler(percent: number): TypedExtensionConfig {
  const share = toBinary(FractionalPercentSchema, create(FractionalPercentSchema, fraction(percent)));
  const root = sampler('trace_id_ratio_based', 'TraceIdRatioBasedSamplerConfig', 1, share);
  return sampler('parent_based', 'ParentBasedSamplerConfig', 1, toBinary(TypedExtensionConfigSchema, root));
}

function sampler(name: string, message: string, field: number, value: Uint8Array): TypedExtensionConfig {
  return create(TypedExtensionConfigSchema, { name: `envoy.tracers.opentelemetry.samplers.${name}`, typedConfig: withOneField(message, field, value) });
}

function withOneField(message: string, field: number, value: Uint8Array): Any {
  const bytes = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(value).finish();
  return create(AnySchema, { typeUrl: `type.googleapis.com/${SAMPLERS}.${message}`, value: bytes });
}
