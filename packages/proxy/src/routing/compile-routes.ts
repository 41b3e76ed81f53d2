import { create } from '@bufbuild/protobuf';
import { type RouteConfiguration, RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import {
  RedirectActionSchema,
  RouteMatchSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import { atOnce, type Steps } from '@outrigger/xds/slices';
import { checkFields, fieldPolicy } from '../xds/fields.ts';
import { checkAds } from '../xds/protocol-options.ts';
import { type CompileError, CompileReport, type CompileResult } from './compile-result.ts';
import { compileRoute } from './compile-route.ts';
import { DomainIndex } from './domain-index.ts';
import { TLS_REDIRECT } from './redirect.ts';
import { RouteEntry } from './route-entry.ts';
import { RouteIndex } from './route-index.ts';
import type { RouteMatch } from './route-match.ts';
import { compileRouteScope, type RouteScope } from './route-scope.ts';
import { CompiledVirtualHost, RouteTable } from './route-table.ts';

const CONFIGURATION = fieldPolicy(
  `name virtual_hosts vhds response_headers_to_add response_headers_to_remove request_headers_to_add request_headers_to_remove
   most_specific_header_mutations_wins max_direct_response_body_size_bytes request_mirror_policies ignore_port_in_host_matching
   ignore_path_parameters_in_path_matching typed_per_filter_config validate_clusters`,
  'metadata',
);
const VIRTUAL_HOST = fieldPolicy(
  `name domains routes require_tls request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove cors
   typed_per_filter_config include_request_attempt_count include_attempt_count_in_response retry_policy
   per_request_buffer_limit_bytes request_mirror_policies rate_limits hedge_policy include_is_timeout_retry_header`,
  'virtual_clusters metadata',
);

/** The 301 to https that require_tls gives to plain text. */
function tlsRedirect(virtualHost: VirtualHost, scope: RouteScope, path: string, report: CompileReport): RouteEntry | null {
  if (virtualHost.requireTls === VirtualHost_TlsRequirementType.NONE) return null;
  const redirect = create(RedirectActionSchema, { schemeRewriteSpecifier: { case: 'httpsRedirect', value: true } });
  const route = create(RouteSchema, {
    name: 'require_tls',
    match: create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: '/' } }),
    action: { case: 'redirect', value: redirect },
  });
  const { fields } = compileRoute(route, scope, `${path}.require_tls`, report).entry;
  return new RouteEntry({ ...fields, redirect: TLS_REDIRECT });
}

/** One virtual host within its configuration; it comes alone over VHDS. Paths of errors start with `path`. */
export function* virtualHostSteps(
  config: RouteConfiguration,
  virtualHost: VirtualHost,
  path = `virtual_hosts[${JSON.stringify(virtualHost.name)}]`,
): Steps<CompileResult<CompiledVirtualHost>> {
  const report = new CompileReport();
  checkFields(VirtualHostSchema, virtualHost, VIRTUAL_HOST, path, report);
  if (virtualHost.domains.length === 0) report.error(`${path}.domains`, 'must not be empty');
  const domains = new Set<string>();
  for (const domain of virtualHost.domains) {
    const name = domain.toLowerCase();
    if (domains.has(name)) report.error(`${path}.domains`, `${JSON.stringify(domain)} stands there twice`);
    domains.add(name);
  }
  const scope = compileRouteScope(config, virtualHost, path, report);
  const clusters = new Set<string>();
  const matches: RouteMatch[] = [];
  const entries: RouteEntry[] = [];
  for (const [position, route] of virtualHost.routes.entries()) {
    if (position > 0) yield;
    const { match, entry } = compileRoute(route, scope, `${path}.routes[${position}]`, report);
    matches.push(match);
    entries.push(entry);
    for (const choice of entry.fields.clusters) if (choice.name !== '') clusters.add(choice.name);
    for (const mirror of entry.fields.mirrors) if (mirror.cluster !== '') clusters.add(mirror.cluster);
  }
  const index = yield* RouteIndex.steps(matches, config.ignorePathParametersInPathMatching);
  return report.result(
    new CompiledVirtualHost(
      virtualHost.name,
      virtualHost.domains,
      entries,
      clusters,
      index,
      tlsRedirect(virtualHost, scope, path, report),
      virtualHost.requireTls === VirtualHost_TlsRequirementType.EXTERNAL_ONLY,
      report.ignored,
    ),
  );
}

export function compileVirtualHost(config: RouteConfiguration, virtualHost: VirtualHost, path?: string): CompileResult<CompiledVirtualHost> {
  return atOnce(virtualHostSteps(config, virtualHost, path));
}

/** All domains of a virtual host, or, where another has some of them, none. */
function takeDomains(index: DomainIndex<CompiledVirtualHost>, virtualHost: CompiledVirtualHost): readonly CompileError[] {
  const errors: CompileError[] = [];
  for (const domain of virtualHost.domains) {
    if (!index.has(domain)) continue;
    const path = `virtual_hosts[${JSON.stringify(virtualHost.name)}].domains`;
    errors.push({ path, message: `${JSON.stringify(domain)} is a domain of another virtual host already` });
  }
  if (errors.length === 0) for (const domain of virtualHost.domains) index.add(domain, virtualHost);
  return errors;
}

/** Why a table of them cannot be: those that want a domain which one before them has. */
export function* conflictSteps(
  config: RouteConfiguration,
  virtualHosts: readonly CompiledVirtualHost[],
): Steps<ReadonlyMap<CompiledVirtualHost, readonly CompileError[]>> {
  const index = new DomainIndex<CompiledVirtualHost>(config.ignorePortInHostMatching);
  const conflicts = new Map<CompiledVirtualHost, readonly CompileError[]>();
  for (const virtualHost of virtualHosts) {
    const errors = takeDomains(index, virtualHost);
    if (errors.length > 0) conflicts.set(virtualHost, errors);
    yield;
  }
  return conflicts;
}

/** A table over virtual hosts that are compiled already. A domain may be named once only. */
export function* routeTableSteps(config: RouteConfiguration, virtualHosts: readonly CompiledVirtualHost[]): Steps<CompileResult<RouteTable>> {
  const report = new CompileReport();
  checkFields(RouteConfigurationSchema, config, CONFIGURATION, '', report);
  // Clusters come when they are used: a table is held back until those that it names are there.
  if (config.validateClusters) report.ignore('validate_clusters');
  if (config.vhds !== undefined) checkAds(config.vhds.configSource, 'vhds.config_source', report);
  const domains = new DomainIndex<CompiledVirtualHost>(config.ignorePortInHostMatching);
  const clusters = new Set<string>();
  for (const virtualHost of virtualHosts) {
    for (const cluster of virtualHost.clusters) clusters.add(cluster);
    for (const ignored of virtualHost.ignored) report.ignore(ignored);
    for (const { path, message } of takeDomains(domains, virtualHost)) report.error(path, message);
    yield;
  }
  return report.result(new RouteTable(config.name, virtualHosts, clusters, domains, report.ignored));
}

export function assembleRouteTable(config: RouteConfiguration, virtualHosts: readonly CompiledVirtualHost[]): CompileResult<RouteTable> {
  return atOnce(routeTableSteps(config, virtualHosts));
}

/** A RouteConfiguration of nothing but the virtual host that an authority finds: who asks about one request need not compile the others. */
export function narrowedTo(config: RouteConfiguration, authority: string): RouteConfiguration {
  const domains = new DomainIndex<VirtualHost>(config.ignorePortInHostMatching);
  for (const virtualHost of config.virtualHosts) for (const domain of virtualHost.domains) domains.add(domain, virtualHost);
  const found = domains.find(authority);
  return { ...config, virtualHosts: found === null ? [] : [found] };
}

/** A RouteConfiguration as a whole, with virtual hosts that came on demand. */
export function* routeConfigurationSteps(config: RouteConfiguration, onDemand: readonly VirtualHost[] = []): Steps<CompileResult<RouteTable>> {
  const report = new CompileReport();
  const compiled: CompiledVirtualHost[] = [];
  for (const [index, virtualHost] of [...config.virtualHosts, ...onDemand].entries()) {
    const result = yield* virtualHostSteps(config, virtualHost, index < config.virtualHosts.length ? `virtual_hosts[${index}]` : undefined);
    if (result.ok) compiled.push(result.value);
    else for (const error of result.errors) report.error(error.path, error.message);
    yield;
  }
  const table = yield* routeTableSteps(config, compiled);
  if (report.errors.length === 0) return table;
  return { ok: false, errors: table.ok ? report.errors : [...report.errors, ...table.errors] };
}

export function compileRouteConfiguration(config: RouteConfiguration, onDemand?: readonly VirtualHost[]): CompileResult<RouteTable> {
  return atOnce(routeConfigurationSteps(config, onDemand));
}
