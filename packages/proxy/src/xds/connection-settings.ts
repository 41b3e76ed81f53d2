import {
  type Cluster,
  UpstreamConnectionOptions_FirstAddressFamilyVersion as FirstFamily,
  UpstreamConnectionOptions_HappyEyeballsConfigSchema,
  UpstreamConnectionOptionsSchema,
} from '@outrigger/xds/protos/envoy/config/cluster/v3/cluster';
import { type BindConfig, BindConfigSchema, type SocketAddress } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy } from './fields.ts';

/** undefined: the system's own. */
export interface KeepAlive {
  readonly idleMs: number | undefined;
  readonly intervalMs: number | undefined;
  readonly probes: number | undefined;
}

/** Port 0: any. */
export interface SourceAddress {
  readonly host: string;
  readonly port: number;
}

/** How connections to the endpoints of a cluster are made. */
export interface ConnectionSettings {
  /** null: the kernel does not look whether an idle peer is still there. */
  readonly keepAlive: KeepAlive | null;
  /** The first of the address family of an endpoint is bound; none: the kernel chooses. */
  readonly sources: readonly SourceAddress[];
  /** Of an endpoint's addresses (RFC 8305 section 4); 0: that of the first. */
  readonly firstFamily: 0 | 4 | 6;
  /** So many of it before the other's first. */
  readonly firstFamilyCount: number;
}

export const PLAIN_SETTINGS: ConnectionSettings = { keepAlive: null, sources: [], firstFamily: 0, firstFamilyCount: 1 };

const OPTIONS = fieldPolicy('tcp_keepalive happy_eyeballs_config', 'set_local_interface_name_on_upstream_connections');
const HAPPY_EYEBALLS = fieldPolicy('first_address_family_version first_address_family_count');
const BIND = fieldPolicy('source_address extra_source_addresses additional_source_addresses');

function compileSources(bind: BindConfig | undefined, report: CompileReport): SourceAddress[] {
  if (bind === undefined) return [];
  checkFields(BindConfigSchema, bind, BIND, 'upstream_bind_config', report);
  const addresses: (SocketAddress | undefined)[] = [
    bind.sourceAddress,
    ...bind.additionalSourceAddresses,
    ...bind.extraSourceAddresses.map((extra) => extra.address),
  ];
  bind.extraSourceAddresses.forEach((extra, index) => {
    if (extra.socketOptions !== undefined) report.error(`upstream_bind_config.extra_source_addresses[${index}].socket_options`, 'not supported by this proxy');
  });
  return addresses.flatMap((address) =>
    address === undefined ? [] : [{ host: address.address, port: address.portSpecifier.case === 'portValue' ? address.portSpecifier.value : 0 }],
  );
}

/** Cluster.upstream_connection_options and upstream_bind_config. */
export function compileConnectionSettings({ upstreamConnectionOptions: options, upstreamBindConfig }: Cluster, report: CompileReport): ConnectionSettings {
  if (options === undefined && upstreamBindConfig === undefined) return PLAIN_SETTINGS;
  const eyeballs = options?.happyEyeballsConfig;
  if (options !== undefined) checkFields(UpstreamConnectionOptionsSchema, options, OPTIONS, 'upstream_connection_options', report);
  if (eyeballs !== undefined)
    checkFields(UpstreamConnectionOptions_HappyEyeballsConfigSchema, eyeballs, HAPPY_EYEBALLS, 'upstream_connection_options.happy_eyeballs_config', report);
  const keepAlive = options?.tcpKeepalive;
  const ms = (seconds: number | undefined): number | undefined => (seconds === undefined ? undefined : seconds * 1000);
  return {
    keepAlive:
      keepAlive === undefined ? null : { idleMs: ms(keepAlive.keepaliveTime), intervalMs: ms(keepAlive.keepaliveInterval), probes: keepAlive.keepaliveProbes },
    sources: compileSources(upstreamBindConfig, report),
    firstFamily: eyeballs?.firstAddressFamilyVersion === FirstFamily.V4 ? 4 : eyeballs?.firstAddressFamilyVersion === FirstFamily.V6 ? 6 : 0,
    firstFamilyCount: Math.max(1, eyeballs?.firstAddressFamilyCount ?? 1),
  };
}
