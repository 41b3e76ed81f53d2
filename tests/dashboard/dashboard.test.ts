import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Load } from '../harness/load.ts';
import { call, type RunningWorkload, TestMesh, until } from '../harness/mesh.ts';
import { peer } from '../harness/peers.ts';
import { type Browser, openBrowser, reboundName } from './browser.ts';

const chromium = peer('chromium');

const canary = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders, namespace: default }
spec:
  hosts: [orders]
  http:
    - route:
        - { destination: { host: orders, subset: v1 }, weight: 90 }
        - { destination: { host: orders, subset: v2 }, weight: 10 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders, namespace: default }
spec:
  host: orders
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
`;
const broken = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: nowhere, namespace: default }
spec:
  hosts: [nothing]
  http:
    - route:
        - { destination: { host: nothing, subset: v9 } }
`;

/** An edge's label, as a screen reader has it. */
function edge(page: Page, from: string, to: string) {
  return page.locator(`.edge[aria-label^="${from} to ${to}: "]`);
}

describe.skipIf(chromium === undefined)('the dashboard in Chromium', () => {
  let mesh: TestMesh;
  let browser: Browser;
  let page: Page;
  let load: Load;
  let payments: RunningWorkload[];
  /** Where the dashboard is, without its token. */
  let origin = '';
  const foreign: string[] = [];
  const complaints: string[] = [];

  const address = async (): Promise<string> => (await mesh.rig(['dashboard'])).stdout.trim();
  const show = (name: string): Promise<void> => page.getByRole('navigation').getByRole('link', { name }).click();

  beforeAll(async () => {
    mesh = await TestMesh.start();
    const [web, , , ...others] = await Promise.all([
      mesh.run({ name: 'web', client: true }),
      mesh.run({ name: 'orders', version: 'v1' }),
      mesh.run({ name: 'orders', version: 'v2' }),
      mesh.run({ name: 'payment', instance: 'payment-1' }),
      mesh.run({ name: 'payment', instance: 'payment-2' }),
    ]);
    payments = others;
    let turn = 0;
    const caller = { ...web, call: () => web.call(turn++ % 3 === 0 ? 'http://payment:8080/echo' : 'http://orders:8080/echo') };
    await until(
      'first answers',
      async () => (await web.call('http://orders:8080/echo')).status === 200 && (await web.call('http://payment:8080/echo')).status === 200,
    );
    load = new Load(caller, '', { concurrency: 4, pauseMs: 50 });
    browser = await openBrowser(chromium as string);
    page = await browser.context.newPage();
    page.on('console', (message) => {
      // What the browser itself says of a policy that the page breaks.
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    const url = await address();
    origin = new URL(url).origin;
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`)) foreign.push(request.url());
    });
    await page.goto(url);
  });
  afterAll(async () => {
    await load?.stop();
    await browser?.close();
    await mesh?.stop();
  });

  test('the graph shows who calls whom, with rate, success, quantiles and mutual TLS', async () => {
    for (const to of ['orders v1', 'orders v2', 'payment']) {
      const label = await edge(page, 'web', to).getAttribute('aria-label');
      expect(label).toMatch(/: [\d.]+\/s, success 100 %, p50 [\d.]+ ms, p99 [\d.]+ (ms|s), mutual TLS 100 %$/);
    }
    await page.getByRole('row', { name: /^orders v2/ }).waitFor();
    expect(await page.getByRole('status').textContent()).toContain('No problem known');
  });

  test('a rollout is shown with its step, what both versions did, and how it stands, for as long as it is there', async () => {
    expect((await mesh.rig(['rollout', 'start', 'orders', '--to', 'v2', '--steps', '30,100'])).code).toBe(0);
    await show('Overview');
    const panel = page.getByRole('listitem', { name: 'Rollout orders' });
    await panel.getByText(/step 1 of 2, watched for \d+ s of 60 s/).waitFor();
    await panel.getByText(/^30 % to v2: (waiting for success>=99%|good so far)/).waitFor();
    const cells = async (version: string): Promise<string[]> =>
      panel
        .getByRole('row', { name: new RegExp(`^${version} `) })
        .getByRole('cell')
        .allTextContents();
    await until('traffic of both', async () => [await cells('v1'), await cells('v2')].every(([, , requests]) => Number(requests) > 0));
    expect([(await cells('v1'))[0], (await cells('v2'))[0]]).toEqual(['70 %', '30 %']);
    await mesh.rig(['rollout', 'abort', 'orders']);
    await panel.getByText('aborted (by hand); all traffic goes to v1').waitFor();
    await mesh.rig(['delete', 'rollout', 'orders']);
    await panel.waitFor({ state: 'detached' });
  });

  test('it asks nobody else for anything, and its policy lets nothing else in', async () => {
    const policy = (await page.request.get(`${origin}/`)).headers()['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    // An inline script, as one that found its way into the page, does not run.
    const ran = await page.evaluate(() => {
      const script = document.createElement('script');
      try {
        script.text = 'window.injected = true';
      } catch {
        return false;
      }
      document.body.append(script);
      return 'injected' in window;
    });
    expect(ran).toBe(false);
    expect(foreign).toEqual([]);
  });

  test('an applied VirtualService appears with its status, and one that does nothing says why', async () => {
    await show('Resources');
    await page.getByText('None: the mesh’s defaults hold.').waitFor();
    await mesh.apply(canary);
    const row = page.getByRole('listitem').filter({ hasText: 'VirtualService' });
    await row.getByText('in effect on 1 of 1 proxy').waitFor();
    await row.locator('summary').click();
    await row.locator('pre').getByText('weight: 90').waitFor();
    await mesh.apply(broken).catch(() => {});
    await page.getByText('without effect because').waitFor();
    await mesh.delete('VirtualService', 'nowhere');
    await page.getByText('without effect because').waitFor({ state: 'detached' });
  });

  test('proxies are shown with their sync, their certificate and their identity', async () => {
    await show('Proxies');
    const row = page.getByRole('row', { name: /^orders-v1\.default/ });
    await row.getByText('in sync').waitFor();
    expect(await row.textContent()).toMatch(/24 h left.*spiffe:\/\/cluster\.local\/ns\/default\/sa\/orders/);
    expect(await page.getByRole('row').count()).toBe(6);
  });

  test('an instance that is killed leaves', async () => {
    await show('Services');
    await page.getByRole('row', { name: /^payment-2/ }).waitFor();
    payments[1]?.process.kill('SIGKILL');
    await page.getByRole('row', { name: /^payment-2/ }).waitFor({ state: 'detached' });
    await page.getByRole('row', { name: /^payment-1/ }).waitFor();
    await show('Overview');
    await page.getByRole('link', { name: 'payment, 1 instance' }).waitFor();
  });

  test('figures that change move nothing', async () => {
    await show('Overview');
    const places = (): Promise<string> =>
      page.evaluate(() =>
        [...document.querySelectorAll('.tile, .card, .graph rect, th')]
          .map((element) => {
            const { x, y, width } = element.getBoundingClientRect();
            return [x, y, width].map(Math.round).join();
          })
          .join(' '),
      );
    const texts = (): Promise<string | null> => page.locator('.picture').textContent();
    const [placesBefore, textBefore] = [await places(), await texts()];
    await until('other figures', async () => (await texts()) !== textBefore);
    expect(await places()).toBe(placesBefore);
  });

  test('every page can be reached by keyboard', async () => {
    await page.goto(`${origin}/`);
    await page.getByRole('navigation').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('To the content');
    for (let step = 0; step < 3; step++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Proxies' }).waitFor();
    expect(await page.title()).toContain('Proxies');
  });

  test('an address works once: another browser is told what to do, and gets no data', async () => {
    const url = await address();
    const first = await openBrowser(chromium as string);
    const second = await openBrowser(chromium as string);
    try {
      const one = await first.context.newPage();
      await one.goto(url);
      await one.getByRole('heading', { name: 'Who calls whom' }).waitFor();
      const other = await second.context.newPage();
      const data: number[] = [];
      other.on('response', (response) => {
        if (response.url().includes('/api/')) data.push(response.status());
      });
      expect((await other.goto(url))?.status()).toBe(401);
      await other.getByText('npx rig dashboard').first().waitFor();
      expect(new Set(data)).toEqual(new Set([401]));
      expect(await other.locator('.graph').count()).toBe(0);
      // The browser that is signed in may open its address again.
      expect((await one.goto(url))?.status()).toBe(200);
    } finally {
      await first.close();
      await second.close();
    }
  });

  test('a page of another origin can neither read nor change anything, signed in as its reader is', async () => {
    const site = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<p>elsewhere</p>'));
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    try {
      const elsewhere = await browser.context.newPage();
      await elsewhere.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
      const outcome = await elsewhere.evaluate(async (target) => {
        const attempt = (path: string, init: RequestInit): Promise<string> =>
          fetch(`${target}/api/v1${path}`, { credentials: 'include', ...init }).then(
            async (response) => `${response.type} ${await response.text()}`,
            () => 'refused',
          );
        return [
          await attempt('/top', {}),
          await attempt('/top', { mode: 'no-cors' }),
          await attempt('/apply', { method: 'POST', mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: '{"documents": []}' }),
          await attempt('/resources/VirtualService/default/orders', { method: 'DELETE' }),
        ];
      }, origin);
      expect(outcome).toEqual(['refused', 'refused', 'refused', 'refused']);
      // The same as the browser sends it, without a browser that keeps the answer from the page: it is the server that refuses.
      const cookie = (await browser.context.cookies(origin)).map(({ name, value }) => `${name}=${value}`).join('; ');
      const { hostname, port, host } = new URL(origin);
      const as = (more: Record<string, string>) => call({ host: hostname, port: Number(port), path: '/api/v1/top', headers: { host, cookie, ...more } });
      expect((await as({})).status).toBe(200);
      expect((await as({ origin: elsewhere.url().replace(/\/$/, '') })).status).toBe(403);
      expect((await as({ 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' })).status).toBe(403);
      expect((await mesh.api('GET', '/resources?kind=VirtualService')).body).toContain('"orders"');
    } finally {
      site.close();
    }
  });

  test('under a rebound name it answers with nothing but a refusal', async () => {
    const rebound = await browser.context.newPage();
    const url = new URL(await address());
    url.hostname = reboundName;
    const answer = await rebound.goto(url.href);
    expect(answer?.status()).toBe(403);
    expect(await answer?.text()).toContain('BAD_HOST');
    expect(await browser.context.cookies(url.href)).toEqual([]);
  });

  test('without a control plane it says so and what to do, shows how old its figures are, and goes on afterwards', async () => {
    await page.goto(`${origin}/`);
    await page.getByRole('heading', { name: 'Who calls whom' }).waitFor();
    expect(complaints.filter((text) => !/Failed to load resource|TrustedScript|Content Security Policy/.test(text))).toEqual([]);
    await mesh.killControlPlane();
    await page.getByText('The control plane does not answer.').waitFor();
    expect(await page.getByRole('status').textContent()).toContain('npx rig up');
    await page.getByText(/what is shown is \d+ s old/).waitFor();
    await mesh.startControlPlane();
    await page.getByText('The control plane does not answer.').waitFor({ state: 'detached' });
    await page.getByText('Live.').waitFor();
  });
});
