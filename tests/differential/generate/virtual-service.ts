import fc from 'fast-check';
import { EXTERNAL, HTTP_PORTS, headerName, NAMESPACE, OTHER_NAMESPACE, SERVICES, sure, uriMatch, valueMatch } from './vocabulary.ts';

export const SUBSETS = ['v1', 'v2'];

const optional = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });
const dictionary = <T>(value: fc.Arbitrary<T>) => fc.dictionary(headerName, value, { minKeys: 1, maxKeys: 2 });

const destination = fc.record(
  {
    host: fc.constantFrom(...SERVICES.map(({ name, namespace }) => `${name}.${namespace}.svc.cluster.local`), 'a', 'b', EXTERNAL.host, 'nowhere'),
    subset: fc.constantFrom(...SUBSETS, ...SUBSETS, ...SUBSETS, 'v3'),
    port: fc.constantFrom(...HTTP_PORTS).map((number) => ({ number })),
  },
  { requiredKeys: ['host'] },
);

/** A copy for what is not there is not made, and nobody tells. */
const copied = fc.record({ host: fc.constantFrom('a', 'b', 'c.other.svc.cluster.local'), port: fc.constantFrom(...HTTP_PORTS).map((number) => ({ number })) });

const operations = optional({
  set: fc.dictionary(fc.constantFrom('x-user', 'x-set', 'X-Mixed'), fc.constantFrom('set', 'b.example.com', '%REQ(x-group)%', '100%%', ''), {
    minKeys: 1,
    maxKeys: 2,
  }),
  add: fc.dictionary(fc.constantFrom('x-user', 'x-added', 'x-group'), fc.constantFrom('added', '%REQ(x-user)%', 'a b'), { minKeys: 1, maxKeys: 2 }),
  remove: fc.subarray(['x-user', 'x-group', 'user-agent', 'X-Mixed', 'x-added'], { minLength: 1, maxLength: 2 }),
});
const responseOperations = optional({
  set: fc.dictionary(fc.constantFrom('x-answer', 'server', 'cache-control'), fc.constantFrom('set', 'no-store'), { minKeys: 1, maxKeys: 2 }),
  add: fc.dictionary(fc.constantFrom('x-answer', 'x-added'), fc.constantFrom('added', '%REQ(x-group)%'), { minKeys: 1, maxKeys: 2 }),
  remove: fc.subarray(['x-answer', 'x-backend', 'date'], { minLength: 1, maxLength: 1 }),
});
const headers = optional({ request: operations, response: responseOperations });

/** One or two of these: more would meet hardly any request. */
const someOf = (criteria: readonly fc.Arbitrary<object>[]): fc.Arbitrary<object> =>
  fc.array(fc.oneof(...criteria), { minLength: 1, maxLength: 2 }).map((found) => Object.assign({}, ...found) as object);

const httpMatch = (gateways: readonly string[]) =>
  someOf([
    uriMatch.map((uri) => ({ uri })),
    uriMatch.map((uri) => ({ uri, ignoreUriCase: true })),
    fc.constantFrom({ exact: 'GET' }, { regex: 'GET|POST' }, { prefix: 'P' }).map((one) => ({ method: one })),
    fc.constantFrom({ exact: 'http' }, { exact: 'https' }).map((scheme) => ({ scheme })),
    fc.constantFrom({ exact: 'a' }, { prefix: 'shop' }, { regex: '.*example\\.com' }, { prefix: 'a.' }).map((authority) => ({ authority })),
    dictionary(valueMatch).map((one) => ({ headers: one })),
    dictionary(valueMatch).map((withoutHeaders) => ({ withoutHeaders })),
    fc
      .dictionary(fc.constantFrom('x', 'z'), fc.constantFrom({ exact: '1' }, { prefix: '1' }, { regex: '[0-9]+' }, { exact: '' }), { minKeys: 1, maxKeys: 2 })
      .map((queryParams) => ({ queryParams })),
    fc.constantFrom(...HTTP_PORTS).map((port) => ({ port })),
    fc.constantFrom({ app: 'client' }, { app: 'other' }).map((sourceLabels) => ({ sourceLabels })),
    fc.constantFrom(NAMESPACE, OTHER_NAMESPACE).map((sourceNamespace) => ({ sourceNamespace })),
    fc.constantFrom('m1', 'm2').map((name) => ({ name })),
    ...(gateways.length === 0 ? [] : [fc.subarray([...gateways], { minLength: 1 }).map((one) => ({ gateways: one }))]),
  ]);

const cors = optional({
  allowOrigins: fc.subarray([{ exact: 'https://good.example' }, { prefix: 'https://pre' }, { regex: 'https://.*\\.example' }], { minLength: 1 }),
  allowMethods: fc.subarray(['GET', 'PUT', 'POST'], { minLength: 1 }),
  allowHeaders: fc.subarray(['x-user', 'x-group'], { minLength: 1 }),
  exposeHeaders: fc.constant(['x-answer']),
  maxAge: fc.constantFrom('24h', '1s'),
  allowCredentials: fc.boolean(),
  unmatchedPreflights: fc.constantFrom('FORWARD', 'IGNORE'),
});

/** Headers of their own for answers would be left to chance, where nobody is reached too. */
const weighted = fc
  .array(
    fc.record({ destination, weight: fc.constantFrom(0, 1, 50, 100), headers: optional({ request: operations }) }, { requiredKeys: ['destination', 'weight'] }),
    {
      minLength: 2,
      maxLength: 3,
    },
  )
  .filter((all) => all.some(({ weight }) => weight > 0));
const single = fc.record({ destination, headers }, { requiredKeys: ['destination'] }).map((one) => [one]);

const rewritten = fc.oneof(
  fc.constantFrom('/', '/new', '/new/', '/n?q=1').map((uri) => ({ uri })),
  fc
    .constantFrom(
      { match: '^/api/(.*)$', rewrite: '/r/\\1' },
      { match: '/v([0-9]+)', rewrite: '/version/\\1\\1' },
      { match: '[a-z]+', rewrite: 'w' },
      { match: '^', rewrite: '/x' },
    )
    .map((uriRegexRewrite) => ({ uriRegexRewrite })),
);
const otherHost = fc.constantFrom('rewritten.example.com', 'b');
/** The host is rewritten in one way, or in the other. */
const rewrites = fc.oneof(
  rewritten.map((rewrite) => ({ rewrite })),
  fc.tuple(rewritten, otherHost).map(([one, authority]) => ({ rewrite: { ...one, authority } })),
  otherHost.map((authority) => ({ rewrite: { authority } })),
  otherHost.map((host) => ({ headers: { request: { set: { Host: host } } } })),
  fc.constant({}),
);

const redirect = fc
  .tuple(
    optional({
      uri: fc.constantFrom('/moved', '/moved?q=2', '/'),
      authority: fc.constantFrom('elsewhere.example.com', 'elsewhere.example.com:81'),
      scheme: fc.constantFrom('https', 'http'),
      redirectCode: fc.constantFrom(301, 302, 303, 307, 308),
    }),
    fc.constantFrom({}, {}, { port: 8443 }, { port: 80 }, { port: 443 }, { derivePort: 'FROM_PROTOCOL_DEFAULT' }, { derivePort: 'FROM_REQUEST_PORT' }),
  )
  .map(([fields, port]) => ({ ...fields, ...port }));

const forwarding = fc.record(
  {
    route: fc.oneof({ weight: 4, arbitrary: single }, { weight: 1, arbitrary: weighted }),
    headers,
    timeout: fc.constantFrom('5s', '10s'),
    retries: fc.record({ attempts: fc.constantFrom(1, 2), retryOn: fc.constantFrom('5xx', 'connect-failure,503') }, { requiredKeys: ['attempts'] }),
    mirror: copied,
    mirrorPercentage: fc.record({ value: sure }),
    fault: fc.record({ abort: fc.record({ httpStatus: fc.constantFrom(418, 503), percentage: fc.record({ value: fc.constantFrom(0, 0, 100) }) }) }),
    corsPolicy: cors,
  },
  { requiredKeys: ['route'] },
);

const forwarded = fc.tuple(forwarding, rewrites).map(([fields, rewrite]) => ({ ...fields, ...rewrite }));

const action = fc.oneof(
  { weight: 6, arbitrary: forwarded },
  { weight: 1, arbitrary: redirect.map((one) => ({ redirect: one })) },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        directResponse: fc.record({ status: fc.constantFrom(200, 404, 503), body: fc.constant({ string: 'said' }) }, { requiredKeys: ['status'] }),
        headers,
      },
      { requiredKeys: ['directResponse'] },
    ),
  },
);

/** Rules of a VirtualService's `http`; `gateways`: those that a match may name. */
export const httpRules = (gateways: readonly string[]) =>
  fc.array(
    fc
      .tuple(
        action,
        fc.option(fc.array(httpMatch(gateways), { minLength: 1, maxLength: 2 }), { nil: undefined, freq: 3 }),
        fc.option(fc.constantFrom('first', 'second'), { nil: undefined }),
      )
      .map(([acts, match, name]) => ({ ...(name === undefined ? {} : { name }), ...(match === undefined ? {} : { match }), ...acts })),
    { minLength: 1, maxLength: 4 },
  );
