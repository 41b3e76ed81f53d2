import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { EMPTY_STREAM } from '@outrigger/telemetry';
import { MutationsSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/header_mutation/v3/header_mutation';
import { expect, it } from 'vitest';
import { CompileReport } from '../routing/compile-result.ts';
import { compileMutations } from './header-mutation.ts';

function run(mutations: JsonObject[], headers: string[]): string[] {
  const report = new CompileReport();
  const compiled = compileMutations(fromJson(MutationsSchema, { requestMutations: mutations }), 'm', report);
  expect(report.errors).toEqual([]);
  compiled.request.apply(headers, EMPTY_STREAM);
  return headers;
}

const append = (key: string, value: string, appendAction: string): JsonObject => ({ append: { header: { key, value }, appendAction } });

it.each<[string, JsonObject[], string[], string[]]>([
  ['append', [append('a', '2', 'APPEND_IF_EXISTS_OR_ADD')], ['A', '1'], ['A', '1', 'a', '2']],
  ['add if absent, present', [append('a', '2', 'ADD_IF_ABSENT')], ['A', '1'], ['A', '1']],
  ['add if absent', [append('a', '2', 'ADD_IF_ABSENT')], [], ['a', '2']],
  ['overwrite', [append('a', '2', 'OVERWRITE_IF_EXISTS_OR_ADD')], ['A', '1', 'b', 'x', 'a', '3'], ['A', '2', 'b', 'x']],
  ['overwrite if exists, absent', [append('a', '2', 'OVERWRITE_IF_EXISTS')], ['b', 'x'], ['b', 'x']],
  ['overwrite if exists', [append('a', '2', 'OVERWRITE_IF_EXISTS')], ['a', '1'], ['a', '2']],
  ['remove', [{ remove: 'A' }], ['a', '1', 'b', '2'], ['b', '2']],
  ['in order', [append('a', '1', 'APPEND_IF_EXISTS_OR_ADD'), { remove: 'a' }, append('a', '2', 'APPEND_IF_EXISTS_OR_ADD')], [], ['a', '2']],
])('%s', (_name, mutations, headers, expected) => {
  expect(run(mutations, headers)).toEqual(expected);
});
