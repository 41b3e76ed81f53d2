import { FilterStateValue_SharedWithUpstream } from '@outrigger/xds/protos/envoy/extensions/filters/common/set_filter_state/v3/value';
import { ConfigSchema as SetFilterStateSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state';
import type { HttpFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { filter, type Init } from '../messages.ts';

/**
 * Makes an Envoy offer to sidecars that it brings requests. Nothing else with it: of what the other side chooses from it must have nothing, so that
 * either version of HTTP is told by its first bytes, whichever the cluster has.
 */
export function offerRequests(): Init<typeof HttpFilterSchema> {
  return filter('envoy.filters.http.set_filter_state', SetFilterStateSchema, {
    onRequestHeaders: [
      {
        key: { case: 'objectKey', value: 'envoy.network.application_protocols' },
        value: {
          case: 'formatString',
          value: { format: { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: 'istio-http/1.1' } } } },
        },
        sharedWithUpstream: FilterStateValue_SharedWithUpstream.ONCE,
      },
    ],
  });
}
