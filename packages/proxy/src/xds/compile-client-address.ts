import {
  type HttpConnectionManager,
  HttpConnectionManager_InternalAddressConfigSchema,
} from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import { CustomHeaderConfigSchema } from '@outrigger/xds/protos/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header';
import { XffConfigSchema } from '@outrigger/xds/protos/envoy/extensions/http/original_ip_detection/xff/v3/xff';
import type { AddressDetection, ClientAddressConfig } from '../engine/client-address.ts';
import { compileCidr } from '../filters/rbac/ip-address.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy, typeNameOf, unpack } from './fields.ts';

const INTERNAL = fieldPolicy('unix_sockets cidr_ranges');
const XFF = fieldPolicy('xff_num_trusted_hops');
const CUSTOM_HEADER = fieldPolicy('header_name allow_extension_to_set_address_as_trusted reject_with_status');
/** Envoy's, where reject_with_status is there and names no error. */
const FORBIDDEN = 403;

/** use_remote_address, xff_num_trusted_hops, original_ip_detection_extensions and internal_address_config. */
export function compileClientAddress(config: HttpConnectionManager, path: string, report: CompileReport): ClientAddressConfig {
  const useRemoteAddress = config.useRemoteAddress ?? false;
  const extensions = config.originalIpDetectionExtensions;
  const at = `${path}.original_ip_detection_extensions`;
  if (extensions.length > 0 && useRemoteAddress) report.error(at, 'does not go with use_remote_address');
  if (extensions.length > 0 && config.xffNumTrustedHops > 0) report.error(at, 'does not go with xff_num_trusted_hops');
  const internal = config.internalAddressConfig;
  if (internal !== undefined) checkFields(HttpConnectionManager_InternalAddressConfigSchema, internal, INTERNAL, `${path}.internal_address_config`, report);
  return {
    useRemoteAddress,
    trustedHops: config.xffNumTrustedHops,
    detections:
      extensions.length > 0
        ? extensions.flatMap((extension, index) => compileDetection(extension, `${at}[${index}]`, report))
        : [{ kind: 'xff', trustedHops: config.xffNumTrustedHops }],
    internalRanges: (internal?.cidrRanges ?? []).map((range, index) => compileCidr(range, `${path}.internal_address_config.cidr_ranges[${index}]`, report)),
    internalSockets: internal?.unixSockets ?? false,
  };
}

function compileDetection(
  { name, typedConfig }: HttpConnectionManager['originalIpDetectionExtensions'][number],
  path: string,
  report: CompileReport,
): readonly AddressDetection[] {
  switch (typeNameOf(typedConfig)) {
    case XffConfigSchema.typeName: {
      const config = unpack(typedConfig, XffConfigSchema, path, report);
      if (config === undefined) return [];
      checkFields(XffConfigSchema, config, XFF, `${path}.typed_config`, report);
      return [{ kind: 'xff', trustedHops: config.xffNumTrustedHops }];
    }
    case CustomHeaderConfigSchema.typeName: {
      const config = unpack(typedConfig, CustomHeaderConfigSchema, path, report);
      if (config === undefined) return [];
      checkFields(CustomHeaderConfigSchema, config, CUSTOM_HEADER, `${path}.typed_config`, report);
      const code = config.rejectWithStatus?.code ?? 0;
      const rejectStatus = config.rejectWithStatus === undefined ? 0 : code >= 400 && code < 600 ? code : FORBIDDEN;
      return [{ kind: 'header', name: config.headerName.toLowerCase(), trusted: config.allowExtensionToSetAddressAsTrusted, rejectStatus }];
    }
    default:
      report.error(path, `${name} is not supported by this proxy`);
      return [];
  }
}
