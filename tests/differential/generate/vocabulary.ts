import fc from 'fast-check';

/** Few words, so that what is written and what is asked meet. */
export const NAMESPACE = 'app';
export const OTHER_NAMESPACE = 'other';
export const CLIENT_LABELS = { app: 'client', version: 'v1' };

export interface KubernetesService {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
}

export const SERVICES: readonly KubernetesService[] = [
  { name: 'a', namespace: NAMESPACE, address: '10.0.0.1' },
  { name: 'b', namespace: NAMESPACE, address: '10.0.0.2' },
  { name: 'c', namespace: OTHER_NAMESPACE, address: '10.0.0.3' },
];
export const HTTP_PORTS = [80, 8080];
export const EXTERNAL = { host: 'ext.example.com', address: '10.9.0.1' };
/** Hosts that no service has. */
export const OTHER_HOSTS = ['shop.example.com', 'x.example.com', 'deep.x.example.com', 'only.invalid'];

export const path = fc.constantFrom(
  '/',
  '/api',
  '/api/',
  '/api/v1',
  '/api/v1/items',
  '/API/V1',
  '/apiary',
  '/static/x.png',
  '/v2',
  '/v2/api',
  '/a%20b',
  '/api//v1',
  '/api/../v2',
  '/api/./v1',
  '/%61pi',
);
export const query = fc.constantFrom('', '', '', '?x=1', '?x=2&z=', '?x', '?z=1&x=1');
export const method = fc.constantFrom('GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH');
export const headerName = fc.constantFrom('x-user', 'x-group', 'X-Mixed', 'cookie', 'user-agent');
export const headerValue = fc.constantFrom('alice', 'bob', 'alice2', 'a,b', 'session=1; user=alice', 'Alice', '1');

const prefix = fc.constantFrom('/', '/api', '/api/', '/v2', '/static', '/a', '/API').map((value) => ({ prefix: value }));
const exact = fc.constantFrom('/', '/api', '/api/v1', '/static/x.png', '/v2').map((value) => ({ exact: value }));
const regex = fc.constantFrom('/api/.*', '/v[0-9]+(/.*)?', '.*\\.png', '/(api|v2)', '/.*').map((value) => ({ regex: value }));
export const uriMatch = fc.oneof(prefix, exact, regex);

export const valueMatch = fc.oneof(
  headerValue.map((value) => ({ exact: value })),
  fc.constantFrom('al', 'a', 'session', '').map((value) => ({ prefix: value })),
  fc.constantFrom('alice.*', '[a-z]+', '.*', '.*user=alice.*', '[0-9]').map((value) => ({ regex: value })),
);

/** "10 % of nobody": what is left to chance is of the test of distribution. */
export const sure = fc.constantFrom(100, 100, 100, 0);
