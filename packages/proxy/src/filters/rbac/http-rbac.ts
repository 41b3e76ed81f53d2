import type { Any } from '@bufbuild/protobuf/wkt';
import { RBACPerRouteSchema, RBACSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import type { CompileReport } from '../../routing/compile-result.ts';
import { unpack } from '../../xds/fields.ts';
import { type FilteredStream, type FilterVerdict, type HttpFilter, type HttpFilterType, PASS, type RouteSetting } from '../http-filter.ts';
import { ALLOW_EVERYTHING, compileHttpRbac, denialDetails, RbacFilter } from './rbac.ts';

/** envoy.filters.http.rbac: 403 for whom the policies do not let in, also where no route is. */
class HttpRbac implements HttpFilter {
  readonly name: string;
  readonly #policies: RbacFilter;

  constructor(name: string, policies: RbacFilter) {
    this.name = name;
    this.#policies = policies;
  }

  forRoute(settings: readonly RouteSetting[]): HttpFilter {
    const own = settings.find((setting) => setting instanceof RbacFilter);
    return own === undefined ? this : new HttpRbac(this.name, own);
  }

  onRequest(stream: FilteredStream): FilterVerdict {
    const verdict = this.#policies.decide(stream.connectionFacts, stream.head, stream.dynamicMetadata);
    if (verdict.allowed) return PASS;
    return { kind: 'refuse', status: 403, body: 'RBAC: access denied', details: denialDetails(verdict), flag: 0 };
  }
}

function perRoute(any: Any, path: string, report: CompileReport): RbacFilter | null {
  const config = unpack(any, RBACPerRouteSchema, path, report);
  if (config === undefined) return null;
  // Without an inner policy the filter is off for this route.
  return config.rbac === undefined ? ALLOW_EVERYTHING : compileHttpRbac(config.rbac, `${path}.rbac`, report);
}

export const rbacType: HttpFilterType = {
  typeName: RBACSchema.typeName,
  compile(any, name, path, _context, report) {
    const config = unpack(any, RBACSchema, path, report);
    return config === undefined ? null : new HttpRbac(name, compileHttpRbac(config, path, report));
  },
  settings: { [RBACPerRouteSchema.typeName]: perRoute },
};
