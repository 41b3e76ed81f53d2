import type { Registry } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { mergedAny, PatchError } from './merge.ts';

/** Names that Istio knew filters by before. */
const FORMER_NAMES: Readonly<Record<string, string>> = {
  'envoy.http_connection_manager': 'envoy.filters.network.http_connection_manager',
  'envoy.tcp_proxy': 'envoy.filters.network.tcp_proxy',
  'envoy.router': 'envoy.filters.http.router',
};

export function isNamed(wanted: string, name: string): boolean {
  return wanted === name || FORMER_NAMES[wanted] === name;
}

/** Of two configs of one type, or of the one that is there where the patch has none. */
export function mergedConfig<Config extends { readonly case: string | undefined; readonly value?: unknown }>(
  made: { readonly name: string; readonly configType: Config },
  value: { readonly configType: Config },
  types: Registry,
): Config {
  const [present, patch] = [made.configType, value.configType];
  if (patch.case === undefined) return present;
  if (present.case !== 'typedConfig' || patch.case !== 'typedConfig') throw new PatchError(`the filter ${made.name} has no typed_config to merge with`);
  const config = mergedAny(present.value as Any, patch.value as Any, types);
  if (config === undefined)
    throw new PatchError(`the filter ${made.name} is of the type ${(present.value as Any).typeUrl}, not ${(patch.value as Any).typeUrl}`);
  return { ...present, value: config };
}
