import type { DescMessage, JsonObject } from '@bufbuild/protobuf';
import {
  HttpProtocolOptionsSchema as CommonOptionsSchema,
  Http1ProtocolOptionsSchema,
  Http2ProtocolOptionsSchema,
  KeepaliveSettingsSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/protocol';
import { RouterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/router/v3/router';
import {
  HttpConnectionManager_ProxyStatusConfigSchema,
  HttpConnectionManager_SetCurrentClientCertDetailsSchema,
  HttpConnectionManager_TracingSchema,
  HttpConnectionManager_UpgradeConfigSchema,
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { typed } from '../../testing/messages.ts';
import { chain, HCM_PATH, HCM_TYPE, MANAGER, ROUTER } from './listener-subjects.ts';
import type { Outcome, Subject } from './probe.ts';
import { ADS } from './route-subjects.ts';

export const manager = (json: JsonObject): Outcome => chain({ filters: [{ name: 'x', typedConfig: typed(HCM_TYPE, json) }] });
const inManager = (field: string, schema: DescMessage, base: JsonObject = {}): Subject => ({
  schema,
  base,
  path: `${HCM_PATH}.${field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
  compile: (json) => manager({ ...MANAGER, [field]: json }),
});
export const httpFilter = (type: string, schema: DescMessage, base: JsonObject = {}): Subject => ({
  schema,
  base,
  path: `${HCM_PATH}.http_filters[0].typed_config`,
  compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'f', typedConfig: typed(type, json) }, ROUTER] }),
});

export const HTTP_MANAGER_SUBJECTS: Readonly<Record<string, Subject>> = {
  HttpConnectionManager: {
    schema: HttpConnectionManagerSchema,
    base: MANAGER,
    right: {
      rds: { routeConfigName: 'r', configSource: ADS },
      originalIpDetectionExtensions: [
        { name: 'x', typedConfig: typed('envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', { xffNumTrustedHops: 1 }) },
      ],
      accessLog: [{ name: 'x', typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' }) }],
    },
    path: HCM_PATH,
    compile: manager,
  },
  'HttpConnectionManager.Tracing': inManager('tracing', HttpConnectionManager_TracingSchema),
  'HttpConnectionManager.SetCurrentClientCertDetails': inManager('setCurrentClientCertDetails', HttpConnectionManager_SetCurrentClientCertDetailsSchema),
  'HttpConnectionManager.ProxyStatusConfig': inManager('proxyStatusConfig', HttpConnectionManager_ProxyStatusConfigSchema),
  'HttpConnectionManager.UpgradeConfig': {
    schema: HttpConnectionManager_UpgradeConfigSchema,
    base: {},
    path: `${HCM_PATH}.upgrade_configs[0]`,
    compile: (json) => manager({ ...MANAGER, upgradeConfigs: [json] }),
  },
  'HttpProtocolOptions, downstream': inManager('commonHttpProtocolOptions', CommonOptionsSchema),
  Http1ProtocolOptions: inManager('httpProtocolOptions', Http1ProtocolOptionsSchema),
  Http2ProtocolOptions: inManager('http2ProtocolOptions', Http2ProtocolOptionsSchema),
  KeepaliveSettings: {
    schema: KeepaliveSettingsSchema,
    base: { timeout: '1s' },
    path: `${HCM_PATH}.http2_protocol_options.connection_keepalive`,
    compile: (json) => manager({ ...MANAGER, http2ProtocolOptions: { connectionKeepalive: json } }),
  },
  HttpFilter: {
    schema: HttpFilterSchema,
    base: ROUTER,
    path: `${HCM_PATH}.http_filters[0]`,
    compile: (json) => manager({ ...MANAGER, httpFilters: [json] }),
  },
  Router: {
    ...httpFilter('envoy.extensions.filters.http.router.v3.Router', RouterSchema),
    compile: (json) => manager({ ...MANAGER, httpFilters: [{ name: 'r', typedConfig: typed('envoy.extensions.filters.http.router.v3.Router', json) }] }),
  },
};
