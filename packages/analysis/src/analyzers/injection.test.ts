import { describe, expect, test } from 'vitest';
import { object, said } from '../testing/said.ts';
import { externalControlPlane } from './external-control-plane.ts';
import { imageAuto } from './image-auto.ts';
import { injectorWebhooks } from './injector-webhooks.ts';
import { namespaceInjection } from './namespace-injection.ts';
import { proxyImages } from './proxy-images.ts';

describe('namespace injection', () => {
  const namespace = (labels: object, name = 'shop') => object('Namespace', name, {}, { labels });
  const pod = (metadata: object = {}, spec: object = {}) =>
    object('Pod', 'p', { spec: { containers: [{ name: 'a', image: 'a' }], ...spec } }, { namespace: 'shop', ...metadata });
  const enabled = namespace({ 'istio-injection': 'enabled' });
  const missing = ['IST0103 Pod shop/p:3'];

  test.each<[string, string, string[]]>([
    ['nothing said', namespace({}), ['IST0102 Namespace shop:1']],
    ['disabled', namespace({ 'istio-injection': 'disabled' }), []],
    ['ambient', namespace({ 'istio.io/dataplane-mode': 'ambient' }), []],
    ['a label and a revision', namespace({ 'istio-injection': 'enabled', 'istio.io/rev': 'x' }), ['IST0123 Namespace shop:1']],
    ['disabled and a revision', namespace({ 'istio-injection': 'disabled', 'istio.io/rev': 'x' }), []],
    ['a revision and ambient', namespace({ 'istio.io/rev': 'x', 'istio.io/dataplane-mode': 'ambient' }), ['IST0123 Namespace shop:1']],
    ['Istio itself and Kubernetes', namespace({}, 'istio-system') + namespace({}, 'kube-system'), []],
    ['a pod without a sidecar', enabled + pod(), missing],
    ['of a revision', namespace({ 'istio.io/rev': 'x' }) + pod(), missing],
    ['with one', enabled + pod({}, { initContainers: [{ name: 'istio-proxy', image: 'proxyv2' }] }), []],
    ['that wants none', enabled + pod({ annotations: { 'sidecar.istio.io/inject': 'False' } }), []],
    [
      'whose label outweighs its annotation',
      enabled + pod({ annotations: { 'sidecar.istio.io/inject': 'false' }, labels: { 'sidecar.istio.io/inject': 'true' } }),
      missing,
    ],
    ['on the network of its host', enabled + pod({}, { hostNetwork: true }), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(namespaceInjection, yaml)).toEqual(expected);
  });
});

describe('proxy images', () => {
  const injector = (values: object, name = 'istio-sidecar-injector') =>
    object('ConfigMap', name, { data: { values: JSON.stringify({ global: values }) } }, { namespace: 'istio-system' });
  const now = injector({ hub: 'hub', tag: '2', proxy: { image: 'proxyv2' } });
  const namespace = (labels: object) => object('Namespace', 'shop', {}, { labels });
  const enabled = namespace({ 'istio-injection': 'enabled' });
  const pod = (image: string, metadata: object = {}, place = 'containers') =>
    object('Pod', 'p', { spec: { [place]: [{ name: 'istio-proxy', image }] } }, { namespace: 'shop', ...metadata });
  const config = (spec: object, at = 'shop') => object('ProxyConfig', 'c', { spec }, { namespace: at });
  const found = ['IST0158 Namespace shop:3'];
  const distroless = { image: { imageType: 'distroless' } };

  test.each<[string, string, string[]]>([
    ['the same', now + enabled + pod('hub/proxyv2:2'), []],
    ['an older one', now + enabled + pod('hub/proxyv2:1'), found],
    ['an older one among the init containers', now + enabled + pod('hub/proxyv2:1', {}, 'initContainers'), found],
    ['a whole name', injector({ proxy: { image: 'x/y:1' } }) + enabled + pod('x/y:1'), []],
    ['another by annotation', now + enabled + pod('x', { annotations: { 'sidecar.istio.io/proxyImage': 'x' } }), []],
    ['a type that nobody asks for', now + enabled + pod('hub/proxyv2:2-distroless'), found],
    ['a type of the namespace', now + enabled + pod('hub/proxyv2:2-distroless') + config(distroless), []],
    ['a type of the mesh', now + enabled + pod('hub/proxyv2:2-distroless') + config(distroless, 'istio-system'), []],
    ['a type of other pods', now + enabled + pod('hub/proxyv2:2-distroless') + config({ ...distroless, selector: { matchLabels: { app: 'x' } } }), found],
    ['a namespace that is not injected', now + namespace({}) + pod('hub/proxyv2:1'), []],
    [
      'a revision of its own',
      injector({ hub: 'hub', tag: '3', proxy: { image: 'proxyv2' } }, 'istio-sidecar-injector-next') +
        namespace({ 'istio.io/rev': 'next' }) +
        pod('hub/proxyv2:2'),
      found,
    ],
    ['a revision without an injector', now + namespace({ 'istio.io/rev': 'next' }) + pod('hub/proxyv2:1'), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(proxyImages, yaml)).toEqual(expected);
  });
});

describe('image auto', () => {
  const spec = { containers: [{ name: 'istio-proxy', image: 'auto' }] };
  const deployment = (labels: object = {}) => object('Deployment', 'd', { spec: { template: { metadata: { labels }, spec } } });
  const webhook = (selectors: object) => object('MutatingWebhookConfiguration', 'w', { webhooks: [{ name: 'a.istio.io', ...selectors }] });
  const byPod = webhook({ objectSelector: { matchExpressions: [{ key: 'sidecar.istio.io/inject', operator: 'Exists' }] } });
  const byNamespace = webhook({ namespaceSelector: { matchExpressions: [{ key: 'istio-injection', operator: 'NotIn', values: ['disabled'] }] } });
  const namespace = (label: string) => object('Namespace', 'default', {}, { labels: { 'istio-injection': label } });

  test.each<[string, string, string[]]>([
    ['a pod', object('Pod', 'p', { spec }) + byNamespace, ['IST0147 Pod default/p:1']],
    ['a Deployment without webhooks', deployment(), ['IST0146 Deployment default/d:1']],
    ['one that a webhook takes by a label', deployment({ 'sidecar.istio.io/inject': 'true' }) + byPod, []],
    ['one that it does not', deployment() + byPod, ['IST0146 Deployment default/d:1']],
    ['one of a namespace', deployment() + byNamespace + namespace('enabled'), []],
    ['one of a namespace that it leaves', deployment() + byNamespace + namespace('disabled'), ['IST0146 Deployment default/d:1']],
    ['another image', object('Pod', 'p', { spec: { containers: [{ name: 'istio-proxy', image: 'proxyv2:1' }] } }), []],
    ['another container', object('Pod', 'p', { spec: { containers: [{ name: 'web', image: 'auto' }] } }), []],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(imageAuto, yaml)).toEqual(expected);
  });
});

describe('injector webhooks', () => {
  const service = object('Service', 'istiod', {}, { namespace: 'istio-system' });
  const webhook = (name: string, selectors: object, labels: object = {}, hook = 'a.sidecar-injector.istio.io') =>
    object(
      'MutatingWebhookConfiguration',
      name,
      { webhooks: [{ name: hook, clientConfig: { service: { name: 'istiod', namespace: 'istio-system' } }, ...selectors }] },
      { labels },
    );
  const enabled = { namespaceSelector: { matchLabels: { 'istio-injection': 'enabled' } } };
  const revision = (...values: string[]) => ({
    namespaceSelector: {
      matchExpressions: [
        { key: 'istio.io/rev', operator: 'In', values },
        { key: 'istio-injection', operator: 'DoesNotExist' },
      ],
    },
  });

  test.each<[string, string, string[]]>([
    ['one', service + webhook('a', enabled), []],
    ['two of one label', service + webhook('a', enabled) + webhook('b', enabled), ['a:3', 'b:5']],
    ['two revisions', service + webhook('a', revision('x')) + webhook('b', revision('y')), []],
    ['a revision twice', service + webhook('a', revision('x')) + webhook('b', revision('x', 'y')), ['a:3', 'b:5']],
    ['a label and a revision', service + webhook('a', enabled) + webhook('b', revision('x')), []],
    ['one for everything', service + webhook('a', enabled) + webhook('b', {}), ['a:3', 'b:5']],
    [
      'of namespaces and of pods',
      service + webhook('a', enabled) + webhook('b', { objectSelector: { matchLabels: { 'sidecar.istio.io/inject': 'true' } } }),
      ['a:3', 'b:5'],
    ],
    ["somebody else's", service + webhook('a', enabled) + webhook('b', enabled, {}, 'webhook.example.com'), []],
    ['a control plane that is not there', webhook('a', enabled), ['a:1']],
  ])('%s', async (_, yaml, expected) => {
    expect(await said(injectorWebhooks, yaml)).toEqual(expected.map((name) => `IST0139 MutatingWebhookConfiguration ${name}`));
  });
});

describe('external control plane', () => {
  const mutating = (name: string, ...configs: object[]) =>
    object('MutatingWebhookConfiguration', name, { webhooks: configs.map((clientConfig, index) => ({ name: `w${index}.istio.io`, clientConfig })) });
  const validating = (name: string, clientConfig: object) =>
    object('ValidatingWebhookConfiguration', name, { webhooks: [{ name: 'v.istio.io', clientConfig }] });
  const injector = 'istio-sidecar-injector-far';

  test.each<[string, string, string[]]>([
    ['a name', mutating(injector, { url: 'https://mesh.example.com:15017/inject' }), []],
    ['an address', mutating(injector, { url: 'https://192.0.2.1:15017/inject' }), ['IST0164']],
    ['an address of IPv6', mutating(injector, { url: 'https://[2001:db8::1]/inject' }), ['IST0164']],
    ['no host', mutating(injector, { url: 'https://:15017/inject' }), ['IST0163']],
    ['no URL', mutating(injector, { url: 'mesh example' }), ['IST0163']],
    ['a name that no DNS has', mutating(injector, { url: 'https://mesh.invalid/inject' }), ['IST0163']],
    ['nothing', mutating(injector, {}), ['IST0163']],
    ['a Service', mutating(injector, { service: { name: 'istiod', namespace: 'istio-system' } }), []],
    ['each webhook', mutating(injector, { url: 'https://192.0.2.1/' }, {}), ['IST0163', 'IST0164']],
    ['validation', validating('istiod-default-validator', {}) + validating('istio-validator-far', { url: 'https://192.0.2.1/' }), ['IST0163', 'IST0164']],
    ["somebody else's", mutating('cert-manager', {}) + validating('cert-manager', {}), []],
  ])('%s', async (_, yaml, codes) => {
    expect((await said(externalControlPlane, yaml)).map((found) => found.split(' ', 1)[0])).toEqual(codes);
  });
});
