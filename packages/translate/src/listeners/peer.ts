import { ConfigSchema as SetFilterStateSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state';
import type { HttpFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { filter, type Init } from '../messages.ts';
import { PEER_HEADER } from '../routes/headers.ts';

/** Under this name an Envoy reports who called (the peer header's value), since the header itself is gone by then. */
export const PEER_FILTER_STATE = 'outrigger.peer';

export function rememberPeer(): Init<typeof HttpFilterSchema> {
  return filter('envoy.filters.http.set_filter_state', SetFilterStateSchema, {
    onRequestHeaders: [
      {
        key: { case: 'objectKey', value: PEER_FILTER_STATE },
        factoryKey: 'envoy.string',
        value: {
          case: 'formatString',
          value: {
            format: { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: `%REQ(${PEER_HEADER})%` } } },
            omitEmptyValues: true,
          },
        },
        skipIfEmpty: true,
      },
    ],
  });
}
