import { EMPTY_STREAM } from '@outrigger/telemetry';
import { HeaderValueOptionSchema } from '@outrigger/xds/protos/envoy/config/core/v3/base';
import { describe, expect, it } from 'vitest';
import { message } from '../testing/messages.ts';
import { CompileReport } from './compile-result.ts';
import { compileHeaderMutations, concatMutations, type HeaderMutations } from './header-mutations.ts';

const OVERWRITE = 'OVERWRITE_IF_EXISTS_OR_ADD';

/** "name: value" is appended, "name= value" overwrites; "-name" is removed. */
function level(...written: readonly string[]): HeaderMutations {
  const options = written.flatMap((text) => {
    const found = /^([^:=]+)([:=]) (.*)$/.exec(text);
    if (found === null) return [];
    const [, key = '', how, value = ''] = found;
    return [message(HeaderValueOptionSchema, { header: { key, value }, ...(how === '=' ? { appendAction: OVERWRITE } : {}) })];
  });
  const removed = written.filter((text) => text.startsWith('-')).map((text) => text.slice(1));
  return compileHeaderMutations(options, removed, 'add', 'remove', new CompileReport());
}

function changed(mutations: HeaderMutations, headers: string[]): string[] {
  mutations.apply(headers, { ...EMPTY_STREAM, requestHeaders: headers });
  return headers;
}

describe('header mutations of one level, in Envoy’s order', () => {
  it.each<readonly [string, readonly string[], readonly string[], readonly string[]]>([
    ['what is overwritten does not wipe what is added', ['a: 1', 'a= 2', 'a: 3'], [], ['a', '2', 'a', '1', 'a', '3']],
    ['what is removed is added all the same', ['a: 2', '-a'], ['a', '1'], ['a', '2']],
    ['a value is of the headers before', ['a= 2', 'b= %REQ(a)%', 'c: %REQ(b)%'], ['a', '1', 'b', '0'], ['a', '2', 'b', '1', 'c', '0']],
    ['and of what removals have left', ['b= x%REQ(a)%', '-a'], ['a', '1'], ['b', 'x']],
    ['two change places', ['a= %REQ(b)%', 'b= %REQ(a)%'], ['a', '1', 'b', '2'], ['a', '2', 'b', '1']],
    ['what is empty is left out', ['a= %REQ(b)%', 'c: 1'], ['a', '1'], ['a', '1', 'c', '1']],
  ])('%s', (_what, written, before, after) => {
    expect(changed(level(...written), [...before])).toEqual(after);
  });
});

it('levels come one after another', () => {
  const both = concatMutations([level('a: 1', 'b= x%REQ(c)%'), level('a= 2', 'd: %REQ(b)%', '-c')]);
  expect(changed(both, ['c', '0'])).toEqual(['b', 'x0', 'a', '2', 'd', 'x0']);
});
