import { RESPONSE_FLAG_SHORT } from '@outrigger/telemetry';
import {
  type AccessLogFilter,
  type ComparisonFilter,
  ComparisonFilter_Op,
  type MetadataFilter as MetadataFilterConfig,
} from '@outrigger/xds/protos/envoy/config/accesslog/v3/accesslog';
import { AccessLogType } from '@outrigger/xds/protos/envoy/data/accesslog/v3/accesslog';
import { compileMetadata } from '../filters/rbac/compile-rules.ts';
import {
  AllFilters,
  AnyFilter,
  type Comparison,
  Constantly,
  Flags,
  GrpcStatuses,
  type LogFilter,
  MetadataFilter,
  NumberFilter,
  RequestHeader,
  Sampled,
  Share,
} from '../observe/log-filter.ts';
import type { CompileReport } from '../routing/compile-result.ts';
import { compileFraction, NEVER } from '../routing/fraction.ts';
import { compileHeaderMatcher } from '../routing/header-matcher.ts';

/** Deeper than anybody writes. */
const MAX_DEPTH = 16;
const COMPARISONS: Readonly<Record<ComparisonFilter_Op, Comparison>> = {
  [ComparisonFilter_Op.EQ]: '=',
  [ComparisonFilter_Op.GE]: '>=',
  [ComparisonFilter_Op.LE]: '<=',
};
/** A stream is logged once, when it is over. */
const ENDS: readonly AccessLogType[] = [AccessLogType.DownstreamEnd, AccessLogType.TcpConnectionEnd];

const NEVER_HOLDS = new Constantly(false);

/** envoy.config.accesslog.v3.AccessLogFilter. */
export function compileLogFilter(config: AccessLogFilter, path: string, report: CompileReport, depth = 0): LogFilter {
  const specifier = config.filterSpecifier;
  if (depth > MAX_DEPTH) {
    report.error(path, `is nested more than ${MAX_DEPTH} deep`);
    return NEVER_HOLDS;
  }
  const inner = (filters: readonly AccessLogFilter[], at: string): LogFilter[] =>
    filters.map((filter, index) => compileLogFilter(filter, `${path}.${at}.filters[${index}]`, report, depth + 1));
  switch (specifier.case) {
    case 'statusCodeFilter':
      return compareTo(specifier.value.comparison, (info) => info.responseCode, `${path}.status_code_filter`, report);
    case 'durationFilter':
      return compareTo(specifier.value.comparison, (info) => Math.floor(info.durationMs), `${path}.duration_filter`, report);
    case 'notHealthCheckFilter':
      return new Constantly(true);
    case 'traceableFilter':
      return new Sampled();
    case 'runtimeFilter':
      return new Share(compileFraction(specifier.value.percentSampled, NEVER).ratio);
    case 'andFilter':
      return new AllFilters(inner(specifier.value.filters, 'and_filter'));
    case 'orFilter':
      return new AnyFilter(inner(specifier.value.filters, 'or_filter'));
    case 'headerFilter':
      if (specifier.value.header !== undefined) return new RequestHeader(compileHeaderMatcher(specifier.value.header, `${path}.header_filter.header`, report));
      report.error(`${path}.header_filter.header`, 'is missing');
      return NEVER_HOLDS;
    case 'responseFlagFilter':
      return new Flags(flagBits(specifier.value.flags, `${path}.response_flag_filter.flags`, report));
    case 'grpcStatusFilter':
      return new GrpcStatuses(new Set<number>(specifier.value.statuses), specifier.value.exclude);
    case 'metadataFilter':
      return compileMetadataFilter(specifier.value, `${path}.metadata_filter`, report);
    case 'logTypeFilter':
      return new Constantly(specifier.value.types.some((type) => ENDS.includes(type)) !== specifier.value.exclude);
    case 'extensionFilter':
      report.error(`${path}.extension_filter`, 'is not supported by this proxy');
      return NEVER_HOLDS;
    case undefined:
      report.error(path, 'needs one of the filters of envoy.config.accesslog.v3.AccessLogFilter');
      return NEVER_HOLDS;
  }
}

/** Whether it asks for a filter that is not among Envoy's own. */
export function needsExtension({ filterSpecifier }: AccessLogFilter): boolean {
  if (filterSpecifier.case === 'extensionFilter') return true;
  return (filterSpecifier.case === 'andFilter' || filterSpecifier.case === 'orFilter') && filterSpecifier.value.filters.some(needsExtension);
}

function compareTo(config: ComparisonFilter | undefined, read: ConstructorParameters<typeof NumberFilter>[0], path: string, report: CompileReport): LogFilter {
  if (config === undefined) {
    report.error(`${path}.comparison`, 'is missing');
    return NEVER_HOLDS;
  }
  // There is no runtime layer here: the default holds.
  return new NumberFilter(read, COMPARISONS[config.op] ?? '=', config.value?.defaultValue ?? 0);
}

function flagBits(names: readonly string[], path: string, report: CompileReport): number {
  let bits = 0;
  names.forEach((name, index) => {
    const bit = RESPONSE_FLAG_SHORT.indexOf(name);
    // Envoy's NC, NFCF and others that this proxy never sets are known too.
    if (bit < 0) report.error(`${path}[${index}]`, `${JSON.stringify(name)} is no response flag`);
    else bits |= 1 << bit;
  });
  return bits;
}

function compileMetadataFilter(config: MetadataFilterConfig, path: string, report: CompileReport): LogFilter {
  if (config.matcher === undefined) return new Constantly(config.matchIfKeyNotFound ?? true);
  return new MetadataFilter(compileMetadata(config.matcher, `${path}.matcher`, report), config.matchIfKeyNotFound ?? true);
}
