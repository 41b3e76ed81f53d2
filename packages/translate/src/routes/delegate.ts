import { fullHost, type HttpMatchRequest, type HttpRoute, isExportedTo, type StringMatch } from '@outrigger/resources';
import { gatewayNames } from '../gateways/names.ts';
import type { VirtualService } from '../mesh.ts';
import type { Reader } from '../reader.ts';

/** A rule for requests, the VirtualService that it is written in, and where. */
export interface PlacedRule {
  readonly rule: HttpRoute;
  readonly owner: VirtualService;
  readonly field: string;
}

/** The rules of a VirtualService in order; one that delegates is replaced by those that it delegates to. */
export function httpRules(reader: Reader, root: VirtualService): readonly PlacedRule[] {
  return (root.spec.http ?? []).flatMap((rule, index) => {
    const field = `spec.http[${index}]`;
    return rule.delegate === undefined ? [{ rule, owner: root, field }] : delegated(reader, root, rule, field);
  });
}

/** Istio's rules: one level, by a VirtualService without hosts that is exported to the namespace of the one that delegates. */
function delegated(reader: Reader, root: VirtualService, rule: HttpRoute, field: string): readonly PlacedRule[] {
  const { name = '', namespace = '' } = rule.delegate!;
  const key = `${namespace || root.metadata.namespace}/${name}`;
  const left = (why: string): [] => {
    reader.ignored(root, `${field}.delegate`, `${why}: the route is left out`);
    return [];
  };
  const delegate = reader.delegate(key);
  if (delegate === undefined) return left(`there is no VirtualService ${key} without hosts to delegate to`);
  const { exportTo = [] } = delegate.spec;
  if (!isExportedTo(exportTo.length === 0 ? reader.settings.virtualServiceExportTo : exportTo, delegate.metadata.namespace, root.metadata.namespace))
    return left(`VirtualService ${key} is not exported to ${root.metadata.namespace}`);
  reader.uses(delegate);
  const inherited = qualified(reader, root, rule);
  return (delegate.spec.http ?? []).flatMap((own, index) => {
    const at = `spec.http[${index}]`;
    if (own.delegate !== undefined) {
      reader.ignored(delegate, `${at}.delegate`, 'what is delegated to cannot delegate further: the route is left out');
      return [];
    }
    const match = mergedMatches(inherited.match ?? [], own.match ?? []);
    if (match === undefined) {
      const said = `its matches are not all within those of ${root.metadata.namespace}/${root.metadata.name} ${field}: the route is left out`;
      reader.ignored(delegate, `${at}.match`, said);
      return [];
    }
    return [{ rule: merged(inherited, own, match), owner: delegate, field: at }];
  });
}

/** Names in what is inherited mean what they mean where they are written. */
function qualified({ settings }: Reader, { metadata }: VirtualService, rule: HttpRoute): HttpRoute {
  const full = (host: string): string => fullHost(host, metadata.namespace, settings.domainSuffix);
  return {
    ...rule,
    ...(rule.mirror === undefined ? {} : { mirror: { ...rule.mirror, host: full(rule.mirror.host) } }),
    ...(rule.mirrors === undefined
      ? {}
      : { mirrors: rule.mirrors.map((one) => ({ ...one, destination: { ...one.destination, host: full(one.destination.host) } })) }),
    ...(rule.match === undefined
      ? {}
      : { match: rule.match.map((one) => (one.gateways === undefined ? one : { ...one, gateways: gatewayNames(one.gateways, metadata.namespace) })) }),
  };
}

const INHERITED = [
  'rewrite',
  'timeout',
  'retries',
  'fault',
  'mirror',
  'mirrors',
  'mirrorPercent',
  'mirror_percent',
  'mirrorPercentage',
  'corsPolicy',
  'headers',
] as const;

function merged(root: HttpRoute, own: HttpRoute, match: readonly HttpMatchRequest[]): HttpRoute {
  const inherited = Object.fromEntries(INHERITED.filter((name) => own[name] === undefined && root[name] !== undefined).map((name) => [name, root[name]]));
  const name = joined(root.name, own.name);
  return { ...inherited, ...own, match, ...(name === '' ? {} : { name }) };
}

function joined(root: string | undefined, own: string | undefined): string {
  return [root, own].filter((part) => part !== undefined && part !== '').join('-');
}

/** Every match of the delegate with each of the root's that it is within; undefined: one is within none, and the two contradict. */
function mergedMatches(root: readonly HttpMatchRequest[], own: readonly HttpMatchRequest[]): readonly HttpMatchRequest[] | undefined {
  if (root.length === 0) return own;
  if (own.length === 0) return root;
  const found: HttpMatchRequest[] = [];
  for (const one of own) {
    const around = root.filter((candidate) => isWithin(candidate, one));
    if (around.length === 0) return undefined;
    found.push(...around.map((candidate) => mergedMatch(candidate, one)));
  }
  return found;
}

function mergedMatch(root: HttpMatchRequest, own: HttpMatchRequest): HttpMatchRequest {
  const name = joined(root.name, own.name);
  const both = <T>(field: 'headers' | 'withoutHeaders' | 'queryParams' | 'sourceLabels'): Readonly<Record<string, T>> | undefined =>
    root[field] === undefined && own[field] === undefined ? undefined : ({ ...root[field], ...own[field] } as Readonly<Record<string, T>>);
  const all = {
    headers: both<StringMatch>('headers'),
    withoutHeaders: both<StringMatch>('withoutHeaders'),
    queryParams: both<StringMatch>('queryParams'),
    sourceLabels: both<string>('sourceLabels'),
  };
  const said = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return { ...root, ...own, ...said, ...(name === '' ? {} : { name }), ...(own.gateways?.length ? {} : root.gateways ? { gateways: root.gateways } : {}) };
}

/** Whether what `own` matches may be a part of what `root` does. */
function isWithin(root: HttpMatchRequest, own: HttpMatchRequest): boolean {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) if (!narrows(root[field], own[field])) return false;
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const)
    for (const [key, value] of Object.entries(own[field] ?? {})) if (!narrows(root[field]?.[key], value)) return false;
  for (const [key, value] of Object.entries(own.sourceLabels ?? {}))
    if (root.sourceLabels?.[key] !== undefined && root.sourceLabels[key] !== value) return false;
  if (differs(root.sourceNamespace, own.sourceNamespace) || differs(root.port, own.port)) return false;
  if ((root.ignoreUriCase ?? false) !== (own.ignoreUriCase ?? false)) return false;
  return !root.gateways?.length || (own.gateways ?? []).every((gateway) => root.gateways!.includes(gateway));
}

function differs<T>(root: T | undefined, own: T | undefined): boolean {
  return Boolean(root) && Boolean(own) && root !== own;
}

/** Of regular expressions nobody says which is within which. */
function narrows(root: StringMatch | undefined, own: StringMatch | undefined): boolean {
  if (root === undefined || own === undefined) return true;
  if (root.regex || own.regex) return false;
  if (root.exact) return own.exact === root.exact;
  return Boolean(root.prefix) && (own.prefix || own.exact || '').startsWith(root.prefix!);
}
