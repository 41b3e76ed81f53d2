import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer as createHttps, type Server } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { type Answer, call, TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { freePorts } from '../harness/ports.ts';

// Istio's samples as their users apply them; they stand beside the project.
const allSamples = join(import.meta.dirname, '../../../shared/corpus/istio-samples');
const samples = join(allSamples, 'bookinfo');
const present = existsSync(samples);
const example = join(import.meta.dirname, '../../examples/bookinfo');
const apiGateway = join(import.meta.dirname, '../../examples/api-gateway');
const nginx = peer('nginx');

interface Workload {
  name: string;
  version?: string;
  port?: string;
  cwd?: string;
  env?: Record<string, string | number>;
  command?: readonly string[];
  gateway?: { address: string; portMap: Record<string, number> };
}

let mesh: TestMesh;
let nodeProcess: ChildProcess;
let file: string;
let workloads: Workload[];
/** Of the gateway: Istio's server, Gateway API's listener, and the one for bytes. */
let istioPort = 0;
let apiPort = 0;
let tcpPort = 0;

/** The example's own workloads, on ports of this machine that are free. */
async function onFreePorts(listed: readonly Workload[]): Promise<Workload[]> {
  const ports = await freePorts(listed.length + 2);
  [istioPort = 0, apiPort = 0, tcpPort = 0] = ports.splice(-3);
  return listed.map((workload, index) => {
    if (workload.gateway !== undefined)
      return { ...workload, gateway: { ...workload.gateway, portMap: { ...workload.gateway.portMap, 80: apiPort, 8080: istioPort, 31400: tcpPort } } };
    const port = ports[index]!;
    return { ...workload, port: `9080:${port}`, cwd: example, env: { ...workload.env, PORT: port } };
  });
}

function writeWorkloads(listed: readonly Workload[]): void {
  writeFileSync(`${file}.new`, JSON.stringify(listed, null, 1));
  renameSync(`${file}.new`, file);
}

async function healthy(count: number): Promise<void> {
  await until(
    `${count} workloads`,
    async () => {
      const services = JSON.parse((await mesh.api('GET', '/services')).body) as { name: string; instances: { health: string }[] }[];
      const own = services.filter(({ name }) => ['productpage', 'details', 'reviews', 'ratings', 'tcp-echo'].includes(name));
      return own.flatMap(({ instances }) => instances.filter(({ health }) => health === 'HEALTHY')).length === count;
    },
    40_000,
    100,
  );
}

/** Beside what runs: without a restart of anything else. */
async function add(added: readonly Omit<Workload, 'cwd'>[]): Promise<void> {
  const ports = await freePorts(added.length);
  const before = workloads.filter(({ gateway }) => gateway === undefined).length;
  const placed = added.map((workload, index) => ({
    ...workload,
    port: `${workload.port ?? '9080'}:${ports[index]}`,
    cwd: example,
    env: { ...workload.env, PORT: ports[index]! },
  }));
  workloads = [...workloads, ...placed];
  writeWorkloads(workloads);
  await healthy(before + added.length);
}

/** As `rig apply --wait`, without a process for each. */
async function applyText(text: string, name = 'applied.yaml'): Promise<void> {
  const { status, body } = await mesh.api('POST', '/apply', { documents: [{ file: name, text }] });
  if (status !== 200) throw new Error(`${name}: ${body}`);
  await acknowledged((JSON.parse(body) as { revision: string }).revision);
}

async function acknowledged(revision: string): Promise<void> {
  const { body } = await mesh.api('GET', `/wait?revision=${revision}&timeoutMs=20000`);
  const { done, refused } = JSON.parse(body) as { done: boolean; refused: unknown[] };
  expect({ done, refused }).toEqual({ done: true, refused: [] });
}

const sample = (path: string): Promise<void> => applyText(readFileSync(join(samples, path), 'utf8'), path);
const ours = (path: string): Promise<void> => applyText(readFileSync(join(example, path), 'utf8'), path);

async function remove(kind: string, ...names: readonly string[]): Promise<void> {
  for (const named of names) {
    const [namespace, name] = named.includes('/') ? named.split('/') : ['default', named];
    const { status, body } = await mesh.api('DELETE', `/resources/${kind}/${namespace}/${name}`);
    expect(status).toBe(200);
    await acknowledged((JSON.parse(body) as { revision: string }).revision);
  }
}

function get(path: string, { user = '', port = istioPort } = {}): Promise<Answer> {
  return call({ host: '127.0.0.1', port, path, headers: { host: 'bookinfo.example.com', ...(user === '' ? {} : { cookie: `user=${user}` }) } });
}

interface Page {
  readonly status: number;
  /** Of reviews; '': they are not there. */
  readonly version: string;
  /** Color of the stars; '': none. */
  readonly stars: string;
  readonly errors: readonly string[];
  readonly elapsedMs: number;
}

/** The page as a user sees it. */
async function page(user = '', port = istioPort): Promise<Page> {
  const startedMs = performance.now();
  const { status, body } = await get('/productpage', { user, port });
  return {
    status,
    version: /served by reviews (v\d)/.exec(body)?.[1] ?? '',
    stars: /class="stars" style="color: (\w+)"/.exec(body)?.[1] ?? '',
    errors: [...new Set([...body.matchAll(/class="error">([^<]+)</g)].map(([, text]) => text!))],
    elapsedMs: performance.now() - startedMs,
  };
}

const noRatings = ['ratings are not available at the moment'];
const noReviews = ['The reviews of this book are not available at the moment.'];
const noDetails = ['The details of this book are not available at the moment.'];
const v1 = { status: 200, version: 'v1', stars: '', errors: [] };
const v2 = { status: 200, version: 'v2', stars: 'black', errors: [] };
const v3 = { status: 200, version: 'v3', stars: 'red', errors: [] };

/** How often each version of reviews answered. */
async function counted(requests: number, port = istioPort): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const one = async (): Promise<void> => {
    const { version } = JSON.parse((await get('/api/v1/products/0/reviews', { port })).body) as { version: string };
    found[version] = (found[version] ?? 0) + 1;
  };
  for (let asked = 0; asked < requests; asked += 20) await Promise.all(Array.from({ length: 20 }, one));
  return found;
}

const REQUESTS = 120;

/** Within four standard deviations of what weights say, in percent by version. */
function expectShares(found: Readonly<Record<string, number>>, weights: Readonly<Record<string, number>>, requests = REQUESTS): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(weights).sort());
  for (const [version, percent] of Object.entries(weights)) {
    const share = percent / 100;
    const mayDiffer = 4 * Math.sqrt(requests * share * (1 - share));
    expect(Math.abs(found[version]! - requests * share), `${version}: ${JSON.stringify(found)}`).toBeLessThanOrEqual(mayDiffer);
  }
}

/** Which version answers a connection of bytes at the gateway. */
function echoed(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(tcpPort, '127.0.0.1', () => socket.write('hello\n'));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.once('data', (data) => {
      resolve(String(data).split(' ')[0]!);
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** How often a workload's own application was asked for a path. */
async function served(name: string, version: string, path: string): Promise<number> {
  const { port = '' } = workloads.find((workload) => workload.name === name && workload.version === version) ?? {};
  const { body } = await call({ host: '127.0.0.1', port: Number(port.split(':')[1]), path: '/served' });
  return (JSON.parse(body) as Record<string, number>)[path] ?? 0;
}

async function stateOf(kind: string, name: string): Promise<{ state: string; summary: string; notes: string[] }> {
  const found = JSON.parse((await mesh.api('GET', `/resources?kind=${kind}&name=${name}`)).body) as {
    status: { state: string; summary: string; notes: string[] };
  }[];
  return found[0]!.status;
}

describe.skipIf(!present)(`bookinfo of plain processes, by Istio's samples${present ? '' : ' (skipped: they are not there)'}`, () => {
  const outside = new TestAuthority('the outside');
  let books: Server;

  beforeAll(async () => {
    mesh = await TestMesh.start();
    file = join(mesh.state, 'workloads.yaml');
    workloads = await onFreePorts(parse(readFileSync(join(example, 'workloads.yaml'), 'utf8')) as Workload[]);
    writeWorkloads(workloads);
    nodeProcess = mesh.spawn(['node', '-f', file]).process;
    await healthy(6);
  });
  afterAll(async () => {
    books?.close();
    await mesh?.stop();
  });

  test('what Kubernetes acts on is left out, and it is said what does that here', async () => {
    const { code, stdout } = await mesh.rig([
      'apply',
      '-f',
      join(samples, 'platform/kube/bookinfo.yaml'),
      '-f',
      join(samples, 'platform/kube/bookinfo-versions.yaml'),
    ]);
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'left out: 10 Service, 4 ServiceAccount, 6 Deployment. Kubernetes acts on these; here `rig workloads` makes a list of them for `rig node` (docs/from-istio.md)',
        'of these Services the mesh has none yet: details-v1, productpage-v1, ratings-v1, reviews-v1, reviews-v2, reviews-v3',
        '',
      ].join('\n'),
    );
  });

  test('every file of the samples is taken', async () => {
    const names = readdirSync(allSamples, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
    expect(names.length).toBeGreaterThan(80);
    for (const name of names) {
      const text = readFileSync(join(allSamples, name), 'utf8');
      const { status, body } = await mesh.api('POST', '/apply', { documents: [{ file: name, text }], dryRun: true });
      expect(`${name} ${status}${status === 200 ? '' : body}`).toBe(`${name} 200`);
    }
  });

  test('the gateway lets the page in, and nothing that its routes do not name', async () => {
    await sample('networking/bookinfo-gateway.yaml');
    await until('the page', async () => (await page()).status === 200);
    expect((await get('/static/page.css')).status).toBe(200);
    expect(JSON.parse((await get('/api/v1/products')).body)).toHaveLength(1);
    expect((await get('/served')).status).toBe(404);
    // Without rules each version has its share.
    expect(Object.keys(await counted(60)).sort()).toEqual(['v1', 'v2', 'v3']);
  });

  test('request routing: all to v1, then one user to v2', async () => {
    await sample('networking/destination-rule-all.yaml');
    await sample('networking/virtual-service-all-v1.yaml');
    expect(await counted(20)).toEqual({ v1: 20 });
    await sample('networking/virtual-service-reviews-test-v2.yaml');
    expect(await Promise.all([page(), page('jason'), page('jasmin')])).toMatchObject([v1, v2, v1]);
    await sample('networking/virtual-service-reviews-jason-v2-v3.yaml');
    expect(await Promise.all([page(), page('jason')])).toMatchObject([v3, v2]);
  });

  test('fault injection: ratings that are late for one user show that the page does not wait as long as reviews do', async () => {
    await sample('networking/virtual-service-reviews-test-v2.yaml');
    await sample('networking/virtual-service-ratings-test-delay.yaml');
    const [late, other] = await Promise.all([page('jason'), page()]);
    expect([late.errors, other]).toMatchObject([noReviews, v1]);
    // Two tries of three seconds, before the seven are over.
    expect(late.elapsedMs).toBeGreaterThan(5_900);
    // v3 gives up on ratings after 2.5 s, which the page waits for.
    await sample('networking/virtual-service-reviews-v3.yaml');
    const [mended, all] = await Promise.all([page('jason'), page()]);
    expect([mended, all]).toMatchObject([{ ...v3, stars: '', errors: noRatings }, v3]);
    expect(mended.elapsedMs).toBeGreaterThan(2_400);
  });

  test('fault injection: ratings that fail for one user', async () => {
    await sample('networking/virtual-service-reviews-test-v2.yaml');
    await sample('networking/virtual-service-ratings-test-abort.yaml');
    const asked = await served('ratings', 'v1', '/ratings/0');
    expect(await Promise.all([page('jason'), page()])).toMatchObject([{ ...v2, stars: '', errors: noRatings }, v1]);
    expect(await served('ratings', 'v1', '/ratings/0')).toBe(asked);
    await sample('networking/fault-injection-details-v1.yaml');
    expect(await page()).toMatchObject({ ...v1, errors: noDetails });
    await sample('networking/virtual-service-all-v1.yaml');
    await sample('networking/destination-rule-all.yaml');
  });

  test.each([
    ['networking/virtual-service-reviews-90-10.yaml', { v1: 90, v2: 10 }],
    ['networking/virtual-service-reviews-80-20.yaml', { v1: 80, v2: 20 }],
    ['networking/virtual-service-reviews-50-v3.yaml', { v1: 50, v3: 50 }],
    ['networking/virtual-service-reviews-v2-v3.yaml', { v2: 50, v3: 50 }],
    ['networking/virtual-service-reviews-v3.yaml', { v3: 100 }],
  ])('traffic shifting by %s', async (path, weights) => {
    await sample(path);
    expectShares(await counted(REQUESTS), weights);
  });

  test('TCP traffic shifting by the samples of tcp-echo', async () => {
    const script = `require('node:net').createServer((s) => s.on('error', () => {}).on('data', (d) => s.write(process.env.VERSION + ' ' + d))).listen(process.env.PORT, '127.0.0.1')`;
    await add(['v1', 'v2'].map((version) => ({ name: 'tcp-echo', version, port: 'tcp:9000', command: ['node', '-e', script], env: { VERSION: version } })));
    const connections = async (count: number): Promise<Record<string, number>> => {
      const found: Record<string, number> = {};
      for (let asked = 0; asked < count; asked += 20)
        for (const version of await Promise.all(Array.from({ length: 20 }, echoed))) found[version] = (found[version] ?? 0) + 1;
      return found;
    };
    await applyText(readFileSync(join(allSamples, 'tcp-echo/tcp-echo-all-v1.yaml'), 'utf8'));
    await until('an echo', async () => (await echoed()) === 'v1');
    expect(await connections(20)).toEqual({ v1: 20 });
    await applyText(readFileSync(join(allSamples, 'tcp-echo/tcp-echo-20-v2.yaml'), 'utf8'));
    expectShares(await connections(60), { v1: 80, v2: 20 }, 60);
  });

  test('request timeouts: half a second for reviews, twice', async () => {
    await ours('request-timeout.yaml');
    const found = await page();
    expect(found.errors).toEqual(noReviews);
    expect(found.elapsedMs).toBeGreaterThan(950);
    expect(found.elapsedMs).toBeLessThan(2_000);
    await sample('networking/virtual-service-all-v1.yaml');
  });

  test('mirroring: v1 answers, v3 gets a copy', async () => {
    await ours('mirroring.yaml');
    const before = await served('reviews', 'v3', '/reviews/0');
    expect(await counted(20)).toEqual({ v1: 20 });
    await until('the copies', async () => (await served('reviews', 'v3', '/reviews/0')) === before + 20);
    await sample('networking/virtual-service-all-v1.yaml');
  });

  test('circuit breaking: what is too much at once is turned away, and nothing after that', async () => {
    await ours('circuit-breaking.yaml');
    // The page is there all the same; an API that fails so often would have the gateway's own breaker open.
    const pages = await Promise.all(Array.from({ length: 40 }, () => page()));
    const refused = pages.filter(({ errors }) => errors.join() === noDetails.join());
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(40);
    const [, admin] = mesh.portsOf('default', `productpage-v1-${workloads[0]!.port!.split(':')[1]}`);
    const stats = (await call({ host: '127.0.0.1', port: admin!, path: '/stats?filter=details.*upstream_rq_pending_overflow' })).body;
    const overflows = [...stats.matchAll(/: (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
    expect(overflows).toBeGreaterThanOrEqual(refused.length);
    // Its own refusals are no failures of the instance.
    expect((await page()).errors).toEqual([]);
    await sample('networking/destination-rule-all.yaml');
  });

  test('rules for all of the mesh: mTLS, and another balancer', async () => {
    await sample('networking/destination-rule-all-mtls.yaml');
    expect(await page()).toMatchObject(v1);
    await sample('networking/destination-rule-reviews.yaml');
    expect(await page()).toMatchObject(v1);
    await sample('networking/destination-rule-all.yaml');
  });

  test('a version that is not there yet: its calls fail, it is said why, and it serves as soon as it has come', async () => {
    for (const path of ['mysql', 'mysql-vm', 'db']) {
      await sample(`networking/virtual-service-ratings-${path}.yaml`);
      expect(await page()).toMatchObject({ ...v3, stars: '', errors: noRatings });
    }
    await add([{ ...startedAs('ratings'), version: 'v2', env: { VERSION: 'v2' } }]);
    await until('the stars', async () => (await page()).stars === 'red');
    await sample('networking/virtual-service-all-v1.yaml');
  });

  test('egress: plain HTTP of a workload leaves as HTTPS', async () => {
    const requests: string[] = [];
    const certificate = outside.issue({ dns: ['books.example.com'], commonName: 'books' });
    books = createHttps({ cert: certificate.chainPem, key: certificate.keyPem }, (request, response) => {
      requests.push(`${request.headers.host}${request.url}`);
      response.end('{"publisher":"one outside"}');
    });
    await new Promise<void>((resolve) => books.listen(0, '127.0.0.1', resolve));
    const authority = join(mesh.state, 'books.crt');
    writeFileSync(authority, outside.pem);
    const egress = readFileSync(join(example, 'egress.yaml'), 'utf8');
    await applyText(egress.replace('https: 9190', `https: ${(books.address() as { port: number }).port}`).replace('/tmp/books.crt', authority));
    await add([{ ...startedAs('details'), version: 'v2', env: { VERSION: 'v2', BOOKS: 'http://books.example.com/volumes?q=comedy' } }]);
    await sample('networking/virtual-service-details-v2.yaml');
    await until('the publisher', async () => {
      const { body } = await get('/productpage');
      expect(body).toContain('one outside');
      return true;
    });
    expect(requests[0]).toBe('books.example.com/volumes?q=comedy');
    // The sample does the same for a host that is asked of nobody here.
    const path = join(samples, 'networking/egress-rule-google-apis.yaml');
    await sample('networking/egress-rule-google-apis.yaml');
    const { stdout } = await mesh.rig([
      'simulate',
      '-f',
      path,
      '--from',
      'default/details',
      '--request',
      'GET http://www.googleapis.com/books/v1/volumes',
      '-o',
      'json',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      decision: 'route',
      destinations: [{ host: 'www.googleapis.com', port: 443, weight: 100, tls: { mode: 'simple' } }],
    });
    await sample('networking/virtual-service-all-v1.yaml');
  });

  test('a route to a service that is not there says so', async () => {
    await sample('networking/certmanager-gateway.yaml');
    const { state, summary } = await stateOf('vs', 'cert-manager');
    expect(state).toBe('without-effect');
    expect(summary).toContain('cert-manager-resolver');
  });

  test('quotas for each customer by an EnvoyFilter are hinted at', async () => {
    await sample('policy/productpage_envoy_ratelimit.yaml');
    const { stdout } = await mesh.rig(['check']);
    expect(stdout).toMatch(/^hint EnvoyFilter istio-system\/filter-ratelimit: .*quotas for each customer.*\n +next: docs\/api-gateway\.md$/m);
    // It has no rate limit service here, and refuses without one.
    await until('the filter', async () => (await page()).status === 500);
    await remove('EnvoyFilter', 'istio-system/filter-ratelimit', 'istio-system/filter-ratelimit-svc');
    await until('the page', async () => (await page()).status === 200);
  });

  test.skipIf(nginx === undefined)('an API gateway in front knows customers, and the mesh takes no call of one that it has not named', async () => {
    const [port = 0] = await freePorts(1);
    const folder = join(mesh.state, 'nginx');
    mkdirSync(folder);
    const conf = readFileSync(join(apiGateway, 'nginx.conf'), 'utf8');
    writeFileSync(join(folder, 'nginx.conf'), conf.replace('127.0.0.1:8000', `127.0.0.1:${apiPort}`).replace('127.0.0.1:8001', `127.0.0.1:${port}`));
    await applyText(readFileSync(join(apiGateway, 'gateway.yaml'), 'utf8'), 'gateway.yaml');
    const server = spawn(nginx!, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' });
    const ask = async (path: string, key = ''): Promise<number> =>
      (await call({ host: '127.0.0.1', port, path, headers: key === '' ? {} : { 'x-api-key': key } })).status;
    try {
      await until('an answer', async () => (await ask('/v1/books', 'key-of-ben')) === 200);
      expect([await ask('/v1/books'), await ask('/v1/books', 'a guess'), await ask('/api/v1/products', 'key-of-ben')]).toEqual([401, 401, 404]);
      const many = await Promise.all(Array.from({ length: 12 }, () => ask('/v1/books', 'key-of-anna')));
      expect(new Set(many)).toEqual(new Set([200, 429]));
      expect(await ask('/v1/books/0', 'key-of-ben')).toBe(200);
      // Behind it a request of which nobody has said whose it is has no route, and the page takes none but the gateway's.
      expect((await get('/api/v1/products', { port: apiPort })).status).toBe(404);
      const { body } = await call({
        host: '127.0.0.1',
        port: apiPort,
        path: '/api/v1/products',
        headers: { host: 'bookinfo.example.com', 'x-customer': 'anna' },
      });
      expect(JSON.parse(body)).toHaveLength(1);
    } finally {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGQUIT');
      await ended;
    }
    await remove('AuthorizationPolicy', 'productpage');
    await remove('VirtualService', 'api');
    await remove('Gateway.networking.istio.io', 'api');
  });

  test('the same in Gateway API', async () => {
    await remove('VirtualService', 'bookinfo', 'productpage', 'reviews', 'ratings', 'details');
    await ours('versions.yaml');
    await sample('gateway-api/bookinfo-gateway.yaml');
    await until('the page', async () => (await page('', apiPort)).status === 200);
    expect((await get('/served', { port: apiPort })).status).toBe(404);
    await sample('gateway-api/route-all-v1.yaml');
    expectShares(await counted(REQUESTS, apiPort), { v1: 100 });
    for (const [path, weights] of [
      ['route-reviews-90-10', { v1: 90, v2: 10 }],
      ['route-reviews-50-v3', { v1: 50, v3: 50 }],
      ['route-reviews-v3', { v3: 100 }],
      ['route-reviews-v1', { v1: 100 }],
    ] as const) {
      await sample(`gateway-api/${path}.yaml`);
      expectShares(await counted(REQUESTS, apiPort), weights);
    }
  });

  test('one command ends all of it', async () => {
    const ended = new Promise((resolve) => nodeProcess.once('exit', resolve));
    nodeProcess.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  /** As the example starts one. */
  function startedAs(name: string): Pick<Workload, 'name'> {
    const { env: _, port: __, version: ___, ...same } = workloads.find((workload) => workload.name === name)!;
    return same;
  }
});
