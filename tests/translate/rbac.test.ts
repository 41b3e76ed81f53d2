import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createRegistry, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { isKind, readResources } from '@outrigger/resources';
import type { RBAC } from '@outrigger/xds/protos/envoy/config/rbac/v3/rbac';
import { RBACSchema as HttpRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/rbac/v3/rbac';
import { RBACSchema as NetworkRbacSchema } from '@outrigger/xds/protos/envoy/extensions/filters/network/rbac/v3/rbac';
import { UriTemplateMatchConfigSchema } from '@outrigger/xds/protos/envoy/extensions/path/match/uri_template/v3/uri_template_match';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { authorizationRules } from '../../packages/translate/src/security/authorization.ts';
import { type Call, matches } from './rbac-meaning.ts';

// Istio's policies and what they mean (see the corpus' README). It stands beside the project; without it these tests are skipped and say so.
const corpus = join(import.meta.dirname, '../../../shared/corpus/istio-rbac');
const present = existsSync(corpus);
const registry = createRegistry(UriTemplateMatchConfigSchema);

const trustDomains: Readonly<Record<string, readonly string[]>> = {
  'simple-policy-td-aliases': ['td1', 'cluster.local'],
  'simple-policy-multiple-td-aliases': ['td1', 'cluster.local', 'some-td'],
  'simple-policy-principal-with-wildcard': ['td1', 'foobar'],
  'td-aliases-source-principal': ['new-td', 'old-td', 'some-trustdomain'],
};

/** Istio asks a provider where we have none: then the shadow rules say what is asked for, and we deny that. */
interface Filter {
  readonly action: number;
  readonly enforced: RBAC | undefined;
  readonly tried: RBAC | undefined;
}

function expectedFilters(name: string, tcp: boolean): Filter[] {
  return globSync(join(corpus, tcp ? 'tcp' : 'http', `${name}-out*.yaml`))
    .sort()
    .flatMap((path) => parseAllDocuments(readFileSync(path, 'utf8')).map((document) => document.toJS()))
    .filter((filter) => String(filter.name).endsWith('.rbac'))
    .map((filter) => {
      const { '@type': _type, ...config } = filter.typedConfig;
      const rbac = fromJson(tcp ? NetworkRbacSchema : HttpRbacSchema, config as JsonValue, { registry });
      const custom = rbac.shadowRulesStatPrefix === 'istio_ext_authz_';
      const [enforced, tried] = custom ? [rbac.shadowRules, undefined] : [rbac.rules, rbac.shadowRules];
      return { action: (enforced ?? tried)!.action, enforced, tried };
    });
}

async function ourFilters(path: string, name: string, tcp: boolean): Promise<Filter[]> {
  const { resources, problems } = await readResources([{ file: basename(path), text: readFileSync(path) }]);
  expect(problems).toEqual([]);
  const made = authorizationRules({
    policies: resources.filter((one) => isKind(one, 'AuthorizationPolicy')),
    tcp,
    trustDomains: trustDomains[name] ?? ['cluster.local'],
    portSeen: (port) => port,
    onProblem: () => {},
  });
  return made.map(({ rules, shadowRules }) => ({ action: (rules ?? shadowRules)!.action, enforced: rules, tried: shadowRules }));
}

/** Calls made of what a case's texts say, so that many of them hit something, and of what they do not. */
function callsFor(text: string): Call[] {
  const words = new Set<string>();
  for (const [, quoted] of text.matchAll(/["']([^"'\n]*)["']/g)) for (const word of variants(quoted!)) words.add(word);
  for (const [, plain] of text.matchAll(/(?:exact|prefix|suffix): (\S+)/g)) for (const word of variants(plain!)) words.add(word);
  for (const [, regex] of text.matchAll(/regex: (\S+)/g)) words.add(example(regex!));
  const all = [...words];
  const ips = ['8.8.8.8', ...all.filter((word) => /^\d+\.\d+\.\d+\.\d+$/.test(word))];
  const pool = {
    principal: [
      '',
      'spiffe://nobody/ns/none/sa/none',
      ...all.flatMap((word) => (word.startsWith('spiffe://') ? [word] : [`spiffe://${word}`, `spiffe://td/ns/${word}/sa/a`])),
    ],
    sourceIp: ips,
    remoteIp: ips,
    destinationIp: ips,
    destinationPort: [1, ...all.filter((word) => /^\d+$/.test(word)).map(Number)],
    sni: ['', 'other.com', ...all],
    path: [
      '/other',
      '/path/template/one',
      '/a/b/path/template',
      '/not-path/template/one',
      '/a/not-path/template',
      ...all.filter((word) => word.startsWith('/')),
    ],
    method: ['GET', 'OTHER', ...all],
    authority: ['other.com', ...all, ...all.map((word) => word.toUpperCase())],
    header: [undefined, 'other', ...all],
    issuer: [undefined, 'other', ...all],
    subject: [undefined, 'other', '', ...all],
    claim: [undefined, 'other', ...all, ...all.map((word) => [word, 'other'])],
    extra: [undefined, 'other', ...all],
  };
  type Choice = { readonly [K in keyof typeof pool]: (typeof pool)[K][number] };
  const make = (choice: Choice): Call => ({
    principal: choice.principal,
    sourceIp: choice.sourceIp,
    remoteIp: choice.remoteIp,
    destinationIp: choice.destinationIp,
    destinationPort: choice.destinationPort,
    sni: choice.sni,
    path: choice.path,
    headers: {
      ':method': choice.method,
      ':authority': choice.authority,
      ...(choice.header === undefined ? {} : { 'x-header': choice.header, 'x-abc': choice.header }),
    },
    metadata: {
      'envoy.filters.http.jwt_authn': {
        payload: {
          ...(choice.issuer === undefined ? {} : { iss: choice.issuer }),
          ...(choice.subject === undefined ? {} : { sub: choice.subject }),
          ...(choice.claim === undefined ? {} : { aud: choice.claim, azp: choice.claim, nested1: { nested2: choice.claim } }),
        },
      },
      'envoy.filters.a.b': { c: choice.extra },
    },
  });
  const random = seeded(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const keys = Object.keys(pool) as (keyof typeof pool)[];
  const any = (): Choice => Object.fromEntries(keys.map((key) => [key, pick(pool[key] as readonly unknown[])])) as Choice;
  const calls: Call[] = [];
  for (let round = 0; round < 10; round++) {
    const base = any();
    for (const key of keys) for (const value of pool[key]) calls.push(make({ ...base, [key]: value } as Choice));
  }
  return calls;
}

function variants(word: string): string[] {
  return [word, word.replaceAll('*', 'x'), word.replaceAll('*', ''), word.split('/')[0]!];
}

function example(regex: string): string {
  return regex
    .replace(/\(\.\+\/\|\)/g, '')
    .replace(/\(\/\.\+\)\?/g, '')
    .replace(/\.[*+]/g, 'x')
    .replaceAll('\\', '');
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The `full` case asks so much at once that chance finds no call that it allows: what hits is made part by part. */
const parts = (rbac: RBAC): RBAC[] =>
  Object.values(rbac.policies).flatMap((policy) => {
    const permissions = policy.permissions.flatMap((one) => (one.rule.case === 'andRules' ? one.rule.value.rules : [one]));
    const principals = policy.principals.flatMap((one) => (one.identifier.case === 'andIds' ? one.identifier.value.ids : [one]));
    const anyone = { ...policy.principals[0]!, identifier: { case: 'any', value: true } as const };
    const anything = { ...policy.permissions[0]!, rule: { case: 'any', value: true } as const };
    return [
      ...permissions.map((permission) => ({ ...rbac, policies: { one: { ...policy, permissions: [permission], principals: [anyone] } } })),
      ...principals.map((principal) => ({ ...rbac, policies: { one: { ...policy, permissions: [anything], principals: [principal] } } })),
    ];
  });

const cases = present ? globSync(join(corpus, '{http,tcp}', '*-in.yaml')).sort() : [];

describe.skipIf(!present)(`Istio's policies${present ? '' : ` (skipped: ${corpus} is not there)`}`, () => {
  const judged = cases
    .map((path) => ({ path, tcp: path.includes('/tcp/'), name: basename(path).replace('-in.yaml', '') }))
    .filter(({ name }) => name !== 'custom-simple-http');
  test.each(judged)('$name (tcp: $tcp) mean the same', async ({ path, name, tcp }) => {
    const expected = expectedFilters(name, tcp);
    const ours = await ourFilters(path, name, tcp);
    expect(ours.map(({ action }) => action)).toEqual(expected.map(({ action }) => action));
    const texts = [path, ...globSync(path.replace('-in.yaml', '-out*.yaml'))].map((file) => readFileSync(file, 'utf8')).join('\n');
    const calls = callsFor(texts);
    for (const [index, filter] of expected.entries()) {
      for (const mode of ['enforced', 'tried'] as const) {
        const [theirs, own] = [filter[mode], ours[index]![mode]];
        expect(own === undefined).toBe(theirs === undefined);
        if (theirs === undefined || own === undefined) continue;
        for (const call of calls)
          if (matches(own, call) !== matches(theirs, call)) expect.fail(`differs (Istio: ${matches(theirs, call)}) for ${JSON.stringify(call)}`);
        const [theirParts, ownParts] = [parts(theirs), parts(own)];
        expect(ownParts.length).toBe(theirParts.length);
        // Conditions of one rule may stand in any order: what each part matches is what counts.
        const said = (list: readonly RBAC[]): string[] => list.map((part) => calls.map((call) => (matches(part, call) ? 1 : 0)).join('')).sort();
        expect(said(ownParts)).toEqual(said(theirParts));
      }
    }
  });
});
