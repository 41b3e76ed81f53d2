import type { Any } from '@bufbuild/protobuf/wkt';
import { FilterConfigSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';
import type { CompileReport } from '../routing/compile-result.ts';
import { typeNameOf, unpack } from '../xds/fields.ts';
import type { BoundFilters, HttpFilterChain } from './filter-chain.ts';
import { settingCompilers } from './filter-types.ts';
import type { RouteSetting } from './http-filter.ts';

/** What typed_per_filter_config of one level (configuration, virtual host, route) says, by the filters' names. */
export interface FilterLevel {
  readonly settings: ReadonlyMap<string, RouteSetting>;
  readonly disabled: ReadonlySet<string>;
  readonly enabled: ReadonlySet<string>;
}

/** What a route says to HTTP filters, worked out over all levels. */
export class RouteFilters {
  /** By the filter's name, the most specific level first. */
  readonly settings: ReadonlyMap<string, readonly RouteSetting[]>;
  /** What older fields of routes and virtual hosts say, to whichever filter knows it. */
  readonly unnamed: readonly RouteSetting[];
  /** Names of filters that are switched off here (FilterConfig.disabled). */
  readonly disabled: ReadonlySet<string>;
  /** Named here, and so on where the chain has them switched off. */
  readonly enabled: ReadonlySet<string>;
  #chain: HttpFilterChain | null = null;
  #bound: BoundFilters | null = null;
  #others: WeakMap<HttpFilterChain, BoundFilters> | null = null;

  constructor(
    settings: ReadonlyMap<string, readonly RouteSetting[]>,
    unnamed: readonly RouteSetting[],
    disabled: ReadonlySet<string>,
    enabled: ReadonlySet<string>,
  ) {
    this.settings = settings;
    this.unnamed = unnamed;
    this.disabled = disabled;
    this.enabled = enabled;
  }

  /** The chain as it holds on this route. Worked out once: nearly every route is used by one chain alone. */
  boundTo(chain: HttpFilterChain): BoundFilters {
    if (this.#chain === chain) return this.#bound!;
    if (this.#chain === null) {
      this.#chain = chain;
      this.#bound = chain.bind(this);
      return this.#bound;
    }
    this.#others ??= new WeakMap();
    let bound = this.#others.get(chain);
    if (bound === undefined) {
      bound = chain.bind(this);
      this.#others.set(chain, bound);
    }
    return bound;
  }
}

export function compileFilterLevel(configs: Readonly<Record<string, Any>>, path: string, report: CompileReport): FilterLevel {
  const level = { settings: new Map<string, RouteSetting>(), disabled: new Set<string>(), enabled: new Set<string>() };
  for (const [name, outer] of Object.entries(configs)) {
    const at = `${path}[${JSON.stringify(name)}]`;
    let any: Any | undefined = outer;
    let optional = false;
    if (typeNameOf(outer) === FilterConfigSchema.typeName) {
      const wrapper = unpack(outer, FilterConfigSchema, at, report);
      optional = wrapper?.isOptional ?? false;
      if (wrapper?.disabled) {
        level.disabled.add(name);
        continue;
      }
      any = wrapper?.config;
    }
    level.enabled.add(name);
    if (any === undefined) continue;
    const compile = settingCompilers.get(typeNameOf(any));
    if (compile === undefined) {
      if (optional) report.ignore(at);
      else report.error(at, `${typeNameOf(any)} is not supported by this proxy`);
      continue;
    }
    const setting = compile(any, at, report);
    if (setting !== null) level.settings.set(name, setting);
  }
  return level;
}

/** `levels` come from the most to the least specific; `unnamed` is what older fields say. */
export function mergeFilterLevels(levels: readonly FilterLevel[], unnamed: readonly RouteSetting[]): RouteFilters {
  const disabled = new Set<string>();
  const enabled = new Set<string>();
  const settings = new Map<string, RouteSetting[]>();
  for (const level of [...levels].reverse()) {
    for (const name of level.enabled) {
      disabled.delete(name);
      enabled.add(name);
    }
    for (const name of level.disabled) {
      enabled.delete(name);
      disabled.add(name);
    }
    for (const [name, setting] of level.settings) settings.set(name, [setting, ...(settings.get(name) ?? [])]);
  }
  return new RouteFilters(settings, unnamed, disabled, enabled);
}
