import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type ApiCase, type ApiSuite, judgeCase, suiteWorld } from './gateway-api-cases.ts';
import { readJson } from './group.ts';
import { type IstioCall, type IstioSimulation, judgeCall, prepare } from './istio-simulation.ts';
import { type AnalysisCase, judgeAnalysis, judgeValidation } from './resources.ts';
import { runCorpus } from './run.ts';

// Cases that nobody here wrote; they stand beside the project.
const corpus = join(import.meta.dirname, '../../../shared/corpus');
const present = existsSync(corpus);

/** What passes, and by name what does not: a case that is lost fails, and one that is won is written down here. */
const STANDING: Readonly<Record<string, { readonly passed: number; readonly failed: readonly string[] }>> = {
  'istio-validation': { passed: 57, failed: [] },
  'istio-analysis': { passed: 52, failed: [] },
  'istio-simulation': { passed: 242, failed: [] },
  'gateway-api-cases': { passed: 284, failed: [] },
};

describe.skipIf(!present)(`the corpus${present ? '' : ' (skipped: it is not there)'}`, () => {
  test('passes but for what is known to fail', async () => {
    const found = (await runCorpus(corpus)).map(({ name, passed, failed }) => [name, { passed, failed: failed.map((one) => one.case) }]);
    expect(Object.fromEntries(found)).toEqual(STANDING);
  }, 120_000);

  test('a folder without groups has none', async () => {
    expect(await runCorpus(import.meta.dirname)).toEqual([]);
  });
});

describe.skipIf(!present)('a case whose assertion is altered fails', () => {
  const names = (folder: string): string[] =>
    present
      ? readdirSync(join(corpus, folder))
          .filter((name) => name.endsWith('.json'))
          .sort()
      : [];

  test.each(['ClusterMatched', 'VirtualHostMatched', 'RouteMatched', 'Endpoints', 'ServerCertificate', 'Error'] as const)(
    'istio-simulation: %s',
    async (kind) => {
      const altered = {
        ClusterMatched: 'outbound|1||altered',
        VirtualHostMatched: 'altered:1',
        RouteMatched: 'altered',
        Endpoints: ['192.0.2.9:1'],
        ServerCertificate: 'altered.pem',
        Error: 'ErrNoRoute',
      };
      const folder = join(corpus, 'istio-simulation');
      let seen = 0;
      for (const name of names('istio-simulation')) {
        const simulation = readJson<IstioSimulation>(join(folder, name));
        if (!simulation.calls.some(({ Result }) => Result[kind] !== undefined)) continue;
        const prepared = await prepare(folder, simulation);
        for (const call of simulation.calls) {
          if (call.Result[kind] === undefined || judgeCall(prepared, call) !== undefined) continue;
          const changed: IstioCall = { ...call, Result: { ...call.Result, [kind]: altered[kind] } };
          expect(judgeCall(prepared, changed), `${name}: ${call.Name}`).toBeDefined();
          seen++;
          break;
        }
        if (seen === 3) break;
      }
      expect(seen).toBeGreaterThan(0);
    },
  );

  test('istio-simulation: a call that is refused, said to be carried, and the other way round', async () => {
    const folder = join(corpus, 'istio-simulation');
    const seen = new Set<boolean>();
    for (const name of names('istio-simulation')) {
      const simulation = readJson<IstioSimulation>(join(folder, name));
      if (seen.size === 2) break;
      const prepared = await prepare(folder, simulation);
      for (const call of simulation.calls) {
        const refused = call.Result.Error !== undefined;
        if (seen.has(refused) || call.Result.ClusterMatched === 'BlackHoleCluster' || judgeCall(prepared, call) !== undefined) continue;
        expect(judgeCall(prepared, { ...call, Result: refused ? {} : { Error: 'ErrNoListener' } }), `${name}: ${call.Name}`).toBeDefined();
        seen.add(refused);
      }
    }
    expect(seen.size).toBe(2);
  });

  const alterations: readonly (readonly [string, (one: ApiCase) => ApiCase | undefined])[] = [
    ['Response.StatusCodes', (one) => (one.Response?.StatusCodes === undefined ? undefined : { ...one, Response: { ...one.Response, StatusCodes: [299] } })],
    ['Response.GrpcCode', (one) => (one.Response?.GrpcCode !== 0 ? undefined : { ...one, Response: { GrpcCode: 12 } })],
    ['Response.Headers', (one) => (one.Response?.Headers === undefined ? undefined : { ...one, Response: { ...one.Response, Headers: { 'x-altered': '1' } } })],
    [
      'Response.AbsentHeaders',
      (one) => (one.Response?.Headers === undefined ? undefined : { ...one, Response: { AbsentHeaders: Object.keys(one.Response.Headers) } }),
    ],
    [
      'Response.ValidHeaderValues',
      (one) =>
        one.Response?.ValidHeaderValues === undefined
          ? undefined
          : { ...one, Response: { ...one.Response, ValidHeaderValues: { 'access-control-allow-origin': ['altered'] } } },
    ],
    ['Backend', (one) => (one.Backend === undefined || one.Service !== undefined ? undefined : { ...one, Backend: 'altered' })],
    ['Namespace', (one) => (one.Backend === undefined || one.Service !== undefined ? undefined : { ...one, Namespace: 'altered' })],
    ['Service', (one) => (one.Service === undefined ? undefined : { ...one, Service: 'altered/altered' })],
    [
      'Weights',
      (one) => (one.Weights === undefined ? undefined : { ...one, Weights: Object.fromEntries(Object.keys(one.Weights).map((name) => [name, 0.5])) }),
    ],
    [
      'ByBackend',
      (one) =>
        one.ByBackend === undefined
          ? undefined
          : { ...one, ByBackend: Object.fromEntries(Object.keys(one.ByBackend).map((name) => [name, { Path: '/altered' }])) },
    ],
    [
      'RedirectRequest.Scheme',
      (one) => (one.RedirectRequest === undefined ? undefined : { ...one, RedirectRequest: { ...one.RedirectRequest, Scheme: 'ftp' } }),
    ],
    [
      'RedirectRequest.Host',
      (one) => (one.RedirectRequest === undefined ? undefined : { ...one, RedirectRequest: { ...one.RedirectRequest, Host: 'altered' } }),
    ],
    ['RedirectRequest.Port', (one) => (one.RedirectRequest === undefined ? undefined : { ...one, RedirectRequest: { ...one.RedirectRequest, Port: '1' } })],
    [
      'RedirectRequest.Path',
      (one) => (one.RedirectRequest === undefined ? undefined : { ...one, RedirectRequest: { ...one.RedirectRequest, Path: '/altered' } }),
    ],
    [
      'ExpectedRequest.Host',
      (one) =>
        one.ExpectedRequest === undefined || one.Scheme === 'tcp' || one.Scheme === 'tls' ? undefined : { ...one, ExpectedRequest: { Host: 'altered' } },
    ],
    ['ExpectedRequest.Path', (one) => (one.ExpectedRequest?.Path === undefined ? undefined : { ...one, ExpectedRequest: { Path: '/altered' } })],
    [
      'ExpectedRequest.Headers',
      (one) => (one.ExpectedRequest?.Headers === undefined ? undefined : { ...one, ExpectedRequest: { Headers: { 'x-altered': '1' } } }),
    ],
    [
      'ExpectedRequest.AbsentHeaders',
      (one) =>
        Object.keys(one.ExpectedRequest?.Headers ?? {}).length === 0
          ? undefined
          : { ...one, ExpectedRequest: { AbsentHeaders: Object.keys(one.ExpectedRequest!.Headers!) } },
    ],
    ['ExpectedRequest.TLS', (one) => (one.ExpectedRequest?.TLS === undefined ? undefined : { ...one, ExpectedRequest: { TLS: !one.ExpectedRequest.TLS } })],
    ['ExpectedRequest.SNI', (one) => (one.ExpectedRequest?.SNI === undefined ? undefined : { ...one, ExpectedRequest: { SNI: 'altered' } })],
    ['MirroredTo', (one) => (one.MirroredTo === undefined ? undefined : { ...one, MirroredTo: [{ Name: 'altered', Namespace: 'altered' }] })],
    ['Failure', (one) => (one.Response?.StatusCodes?.[0] !== 200 ? undefined : { ...one, Failure: 'status' })],
  ];

  test('gateway-api-cases', async () => {
    const folder = join(corpus, 'gateway-api-cases');
    const left = new Map(alterations);
    for (const name of names('gateway-api-cases')) {
      const suite = readJson<ApiSuite>(join(folder, name));
      const changes = suite.cases.flatMap((one) =>
        [...left].flatMap(([kind, alter]) => (alter(one) === undefined ? [] : [{ one, kind, changed: alter(one)! }])),
      );
      if (changes.length === 0) continue;
      const world = await suiteWorld(folder, suite);
      for (const { one, kind, changed } of changes) {
        if (!left.has(kind) || judgeCase(world, one) !== undefined) continue;
        expect(judgeCase(world, changed), `${kind} of ${suite.name}`).toBeDefined();
        left.delete(kind);
      }
    }
    expect([...left.keys()]).toEqual([]);
  }, 60_000);

  test('istio-analysis: code, level, resource, and none where one is expected', async () => {
    const folder = join(corpus, 'istio-analysis');
    const cases = readJson<readonly AnalysisCase[]>(join(folder, 'index.json'));
    for (const one of cases) {
      if (one.expected.length === 0 || (await judgeAnalysis(folder, one)) !== undefined) continue;
      const [first, ...rest] = one.expected;
      for (const expected of [
        [{ ...first!, code: 'IST9999' }, ...rest],
        [{ ...first!, level: 'Altered' }, ...rest],
        [{ ...first!, resource: 'Pod altered' }, ...rest],
        rest,
      ])
        expect(await judgeAnalysis(folder, { ...one, expected })).toBeDefined();
      return;
    }
    expect.unreachable('no case passes');
  });

  test('istio-validation: validity, and the reason', async () => {
    const valid =
      'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: a }\nspec: { servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }] }\n';
    expect(await judgeValidation(valid, undefined)).toBeUndefined();
    expect(await judgeValidation(valid, '')).toBeDefined();
    const invalid = valid.replace('number: 80', 'number: eighty');
    expect(await judgeValidation(invalid, undefined)).toBeDefined();
    expect(await judgeValidation(invalid, '')).toBeUndefined();
    expect(await judgeValidation(invalid, 'another reason')).toBeDefined();
  });
});
