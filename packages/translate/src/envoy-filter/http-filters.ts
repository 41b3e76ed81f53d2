import type { MessageShape } from '@bufbuild/protobuf';
import { HttpFilterSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager';
import type { Reader } from '../reader.ts';
import { isNamed, mergedConfig } from './filter-config.ts';
import { attempt, decodedValue, type Patch } from './patches.ts';
import { placed, withFields } from './places.ts';

type HttpFilter = MessageShape<typeof HttpFilterSchema>;

const ROUTER = 'envoy.filters.http.router';
/** The filters of ours behind which a class of filters stands. */
const OF_CLASS: Readonly<Record<string, string>> = { AUTHN: 'envoy.filters.http.jwt_authn', AUTHZ: 'envoy.filters.http.rbac' };

export function patchedHttpFilters(reader: Reader, patches: readonly Patch[], made: readonly HttpFilter[]): HttpFilter[] {
  let filters = [...made];
  for (const patch of patches) {
    const wanted = patch.match.listener?.filterChain?.filter?.subFilter?.name ?? '';
    const at = wanted === '' ? undefined : (one: HttpFilter) => isNamed(wanted, one.name);
    if (patch.operation === 'MERGE') filters = filters.map((filter) => (at === undefined || at(filter) ? mergedFilter(reader, patch, filter) : filter));
    else filters = placed(reader, patch, filters, { schema: HttpFilterSchema, at, addedAt: (entries) => addedAt(patch, entries) });
  }
  return filters;
}

/** Nothing comes behind the router, which ends a chain. */
function addedAt({ filterClass }: Patch, filters: readonly HttpFilter[]): number {
  const behind = OF_CLASS[filterClass];
  if (behind !== undefined) return filters.findLastIndex(({ name }) => name === behind) + 1;
  const router = filters.findIndex(({ name }) => name === ROUTER);
  return router < 0 ? filters.length : router;
}

function mergedFilter(reader: Reader, patch: Patch, made: HttpFilter): HttpFilter {
  let filter = made;
  attempt(reader, patch, (types) => {
    const value = decodedValue(patch, HttpFilterSchema, types);
    filter = withFields(made, {
      name: value.name || made.name,
      disabled: value.disabled || made.disabled,
      isOptional: value.isOptional || made.isOptional,
      configType: mergedConfig(made, value, types),
    });
  });
  return filter;
}
