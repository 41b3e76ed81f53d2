import {
  type ProxyProtocolPassThroughTLVs,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType,
  ProxyProtocolPassThroughTLVsSchema,
} from '@outrigger/xds/protos/envoy/config/core/v3/proxy_protocol';
import type { CompileReport } from '../routing/compile-result.ts';
import { checkFields, fieldPolicy } from './fields.ts';

/** Types of the PROXY protocol's TLVs: all, or those of a set. */
export type TlvSelection = 'all' | ReadonlySet<number>;

export const NO_TLVS: TlvSelection = new Set();

const PASS_THROUGH = fieldPolicy('match_type tlv_type');

/** Of pass_through_tlvs, in a listener filter and in a cluster's transport socket. */
export function compileTlvSelection(config: ProxyProtocolPassThroughTLVs | undefined, path: string, report: CompileReport): TlvSelection {
  if (config === undefined) return NO_TLVS;
  checkFields(ProxyProtocolPassThroughTLVsSchema, config, PASS_THROUGH, path, report);
  return config.matchType === ProxyProtocolPassThroughTLVs_PassTLVsMatchType.INCLUDE_ALL ? 'all' : new Set(config.tlvType);
}

export function selects(selection: TlvSelection, type: number): boolean {
  return selection === 'all' || selection.has(type);
}
