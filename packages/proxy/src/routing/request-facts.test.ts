import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { routeConfiguration, routesJson } from '../testing/messages.ts';
import { compileRouteConfiguration } from './compile-routes.ts';
import { NO_FACTS, type RequestFacts } from './request-facts.ts';

function statusFor(match: JsonObject, facts: Partial<RequestFacts>, virtualHost: JsonObject = {}): number | undefined {
  const routes = [
    { match: { prefix: '/', ...match }, directResponse: { status: 201 } },
    { match: { prefix: '/' }, directResponse: { status: 202 } },
  ];
  const compiled = compileRouteConfiguration(routeConfiguration(routesJson('r', routes, virtualHost)));
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.errors));
  const head = Object.assign(new RequestHead(), { authority: 'a', path: '/' });
  const { fields } = compiled.value.virtualHosts[0]!.match(head, 0, { ...NO_FACTS, ...facts })!;
  return fields.direct?.status ?? fields.redirect?.status;
}

describe('tls_context', () => {
  it.each([
    [{ presented: true }, true, 201],
    [{ presented: true }, false, 202],
    [{ presented: false }, false, 201],
    [{ validated: true }, true, 201],
    [{ validated: false }, true, 202],
    [{ presented: true, validated: true }, true, 201],
    [{ presented: true, validated: false }, true, 202],
    [{ presented: true, validated: false }, false, 202],
    [{}, false, 201],
  ])('%j with a certificate %s', (tlsContext, mutual, status) => {
    expect(statusFor({ tlsContext }, { mutual })).toBe(status);
  });
});

describe('dynamic_metadata', () => {
  const matcher = { filter: 'f', path: [{ key: 'team' }, { key: 'name' }], value: { stringMatch: { exact: 'blue' } } };
  const metadata = (name: string) => new Map([['f', { team: { name } }]]);

  it.each([
    ['is what is asked for', matcher, metadata('blue'), 201],
    ['is another', matcher, metadata('red'), 202],
    ['is not there', matcher, null, 202],
    ['is another, and that is asked for', { ...matcher, invert: true }, metadata('red'), 201],
  ])('%s', (_what, dynamicMetadata, found, status) => {
    expect(statusFor({ dynamicMetadata: [dynamicMetadata] }, { dynamicMetadata: found })).toBe(status);
  });
});

describe('require_tls EXTERNAL_ONLY', () => {
  it('sends plain text from outside to https, and nothing from within', () => {
    expect(statusFor({}, { internal: false }, { requireTls: 'EXTERNAL_ONLY' })).toBe(301);
    expect(statusFor({}, { internal: true }, { requireTls: 'EXTERNAL_ONLY' })).toBe(201);
    expect(statusFor({}, { internal: true }, { requireTls: 'ALL' })).toBe(301);
  });
});
