import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { compileRouteConfiguration, type RequestHead } from '@outrigger/proxy/pure';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import type { Route, RouteMatch, RouteMatchSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route_components';

/** The first thing that a route asks for and a request has not; each is asked of the proxy's own matcher, alone. */
export function whyNot({ match }: Route, head: RequestHead): string {
  if (match === undefined) return 'it matches nothing';
  const { pathSpecifier, caseSensitive } = match;
  if (!fits({ pathSpecifier, caseSensitive }, head)) return `path ${pathText(match)}`;
  for (const header of match.headers)
    if (!fits({ ...EVERY_PATH, headers: [header] }, head)) return header.name.startsWith(':') ? header.name.slice(1) : `header ${header.name}`;
  for (const parameter of match.queryParameters) if (!fits({ ...EVERY_PATH, queryParameters: [parameter] }, head)) return `query parameter ${parameter.name}`;
  return 'another of its conditions';
}

const EVERY_PATH = { pathSpecifier: { case: 'prefix', value: '' } } as const;

function fits(match: MessageInitShape<typeof RouteMatchSchema>, head: RequestHead): boolean {
  const action = { case: 'directResponse', value: { status: 200 } } as const;
  const compiled = compileRouteConfiguration(
    create(RouteConfigurationSchema, { virtualHosts: [{ name: 'one', domains: ['*'], routes: [{ match, action }] }] }),
  );
  return compiled.ok && compiled.value.match(head, 0) !== null;
}

function pathText({ pathSpecifier }: RouteMatch): string {
  switch (pathSpecifier.case) {
    case 'prefix':
    case 'pathSeparatedPrefix':
      return `does not begin with ${pathSpecifier.value}`;
    case 'path':
      return `is not ${pathSpecifier.value}`;
    case 'safeRegex':
      return `does not match ${pathSpecifier.value.regex}`;
    case 'connectMatcher':
      return 'is of no CONNECT';
    default:
      return 'is another';
  }
}
