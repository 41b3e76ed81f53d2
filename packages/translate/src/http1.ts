import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { Http1ProtocolOptionsSchema } from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import type { Init } from './messages.ts';
import type { ProxyNode } from './node.ts';

/** Its configuration has no field that is wanted: the empty message. */
const PRESERVE_CASE = 'type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';

/** HTTP/1 as if no proxy were there: 1.0, trailers, and names in the case in which they were written. Our proxy does so unasked, an Envoy when told. */
export function http1Options(node: ProxyNode): Init<typeof Http1ProtocolOptionsSchema> {
  if (node.dataPlane !== 'envoy') return {};
  return {
    acceptHttp10: true,
    enableTrailers: true,
    headerKeyFormat: {
      headerFormat: { case: 'statefulFormatter', value: { name: 'preserve_case', typedConfig: create(AnySchema, { typeUrl: PRESERVE_CASE }) } },
    },
  };
}
