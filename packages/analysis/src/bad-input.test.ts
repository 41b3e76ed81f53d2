import { createValidator, refText } from '@outrigger/resources';
import { describe, expect, test } from 'vitest';
import { analyzeInput, readAnalysisInput } from './input.ts';

const validator = createValidator();

/** "IST0106 VirtualService default/a:7" of everything that is said; a limit of time is the test's own. */
async function said(text: string): Promise<readonly string[]> {
  const messages = analyzeInput(await readAnalysisInput([{ file: 'a.yaml', text }], { validator }));
  for (const { message } of messages) expect(message.length).toBeLessThan(2_000);
  return messages.map(({ code, resource, line }) => `${code} ${resource.kind === '' ? '' : `${refText(resource).slice(0, 60)}:`}${line}`);
}
const virtualService = (spec: string, name = 'a'): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name} }\nspec:\n  ${spec}\n---\n`;
const TO = 'route: [{ destination: { host: a.example.com } }]';
const HOST =
  'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: a }\nspec: { hosts: [a.example.com], resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }\n---\n';
const many = (count: number, make: (index: number) => string): string => Array.from({ length: count }, (_, index) => make(index)).join('');
const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${many(8, (index) => `${'bcdefghi'[index]}: &${'bcdefghi'[index]} [${many(9, () => `*${'abcdefgh'[index]},`)}]\n`)}`;

describe('what somebody gets wrong, or means ill, is told with its place, and the rest is read', () => {
  test.each<[string, string, readonly string[]]>([
    ['aliases that stand for a thousand million values', `${bomb}---\n${HOST}`, ['IST0106 1']],
    ['an alias within its own anchor', 'a: &a [*a]\n', ['IST0106 1']],
    ['nesting without an end', `${'['.repeat(100_000)}`, ['IST0106 1']],
    ['mappings within mappings', `a: ${'{a: '.repeat(5_000)}1${'}'.repeat(5_000)}\n`, ['IST0106 1']],
    ['a key twice', `${HOST}${virtualService(`hosts: [a.example.com]\n  hosts: [b]\n  http: [{ ${TO} }]`)}`, ['IST0106 11']],
    ['a tab', `${HOST}apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata:\n\tname: a\n`, ['IST0106 9']],
    ['a list for a mapping', virtualService('[]'), ['IST0106 VirtualService default/a:4']],
    ['a number for a text', `${HOST}${virtualService(`hosts: [5]\n  http: [{ ${TO} }]`)}`, ['IST0106 VirtualService default/a:10']],
    ['a text for a mapping', 'hello\n', ['IST0106 1']],
    ['nothing that is an object', '- 1\n- 2\n', ['IST0106 1']],
    ['bytes', 'a\0b', ['IST0106 1']],
    [
      'a name of 10,000 characters',
      virtualService(`hosts: [a.example.com]\n  http: [{ ${TO} }]`, 'a'.repeat(10_000)) + HOST,
      [`IST0106 VirtualService default/${'a'.repeat(60 - 'VirtualService default/'.length)}:3`],
    ],
    [
      'a host of 10,000 characters',
      HOST + virtualService(`hosts: [${'a'.repeat(10_000)}.example.com]\n  http: [{ ${TO} }]`),
      ['IST0106 VirtualService default/a:10'],
    ],
    ['a host in another script', HOST + virtualService(`hosts: [köln.example.com]\n  http: [{ ${TO} }]`), ['IST0106 VirtualService default/a:10']],
    [
      'a regular expression of a megabyte',
      HOST + virtualService(`hosts: [a.example.com]\n  http: [{ match: [{ uri: { regex: "/${'(a|b)'.repeat(200_000)}" } }], ${TO} }]`),
      ['IST0106 VirtualService default/a:11', 'RIG0108 VirtualService default/a:11'],
    ],
    [
      'a regular expression that is none',
      HOST + virtualService(`hosts: [a.example.com]\n  http: [{ match: [{ uri: { regex: "/(" } }], ${TO} }]`),
      ['IST0106 VirtualService default/a:11'],
    ],
    [
      '100,000 routes',
      HOST +
        virtualService(`hosts: [a.example.com]\n  http:${many(100_000, (index) => `\n  - { match: [{ uri: { exact: /${index} } }], redirect: { uri: / } }`)}`),
      ['IST0106 1'],
    ],
    [
      'wildcards that overlap',
      virtualService(`hosts: ["*.example.com"]\n  http: [{ ${TO} }]`) + virtualService(`hosts: ["*.a.example.com"]\n  http: [{ ${TO} }]`, 'b') + HOST,
      ['IST0109 VirtualService default/a:5', 'IST0109 VirtualService default/b:12'],
    ],
    [
      'delegates that go round',
      HOST +
        virtualService('hosts: [a.example.com]\n  http: [{ delegate: { name: b } }]') +
        virtualService('http: [{ delegate: { name: c } }]', 'b') +
        virtualService('http: [{ delegate: { name: b } }]', 'c'),
      [
        'IST0106 VirtualService default/b:17',
        'RIG0111 VirtualService default/b:17',
        'IST0106 VirtualService default/c:23',
        'RIG0111 VirtualService default/c:23',
      ],
    ],
    [
      'a delegate to itself',
      HOST + virtualService('http: [{ delegate: { name: a } }]'),
      ['IST0106 VirtualService default/a:10', 'RIG0111 VirtualService default/a:10'],
    ],
    [
      'an export to nowhere',
      `${HOST}apiVersion: v1\nkind: Namespace\nmetadata: { name: shop, labels: { istio-injection: enabled } }\n---\n${virtualService(`hosts: [a.example.com]\n  exportTo: [shopp]\n  http: [{ ${TO} }]`)}`,
      ['RIG0112 VirtualService default/a:15'],
    ],
    ['labels that are no text', HOST.replace('name: a }', 'name: a, labels: { a: 1 } }'), ['IST0106 ServiceEntry default/a:3']],
    [
      'what prototypes have',
      HOST + virtualService('__proto__: { hosts: [x] }\n  constructor: 1'),
      ['IST0106 VirtualService default/a:10', 'IST0106 VirtualService default/a:11'],
    ],
  ])('%s', async (_, text, expected) => {
    const found = await said(text);
    expect([...new Set(found)].slice(0, 4)).toEqual(expected);
  });
});
