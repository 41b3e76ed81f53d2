import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { input } from '../testing/registrations.ts';
import { checkRegistration, type RegistrationInput } from './check-registration.ts';

const port = { name: 'http', servicePort: 8080, applicationPort: 9001, meshPort: 15_100 };

describe('checkRegistration', () => {
  test('accepts what rig run sends, and freezes it', () => {
    const checked = checkRegistration(input());
    expect(checked).toMatchObject({ instance: 'order-service-v1-1', nodeId: 'order-service-v1-1.default', ports: [{ protocol: 'HTTP', meshPort: 15_100 }] });
    expect(Object.isFrozen(checked)).toBe(true);
  });

  test('fills in what need not be said', () => {
    const checked = checkRegistration({
      instance: 'db-1',
      namespace: 'default',
      service: 'db',
      address: '10.0.0.1',
      ports: [{ name: 'tcp-db', servicePort: 5432 }],
    });
    expect(checked).toMatchObject({
      serviceAccount: 'db',
      dataPlane: 'none',
      weight: 0,
      ports: [{ protocol: 'TCP', servicePort: 5432, applicationPort: 5432, meshPort: 5432 }],
    });
  });

  test.each([
    ['::1', '::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['127.0.0.2', '127.0.0.2'],
  ])('takes the address %s', (address, canonical) => {
    expect(checkRegistration(input({ address, metricsAddress: '' }))).toMatchObject({ address: canonical });
  });

  test.each([
    ['instance', { instance: '' }],
    ['instance', { instance: 'a.b' }],
    ['instance', { instance: 'A' }],
    ['instance', { instance: 'a'.repeat(129) }],
    ['instance', { instance: 'a/../b' }],
    ['namespace', { namespace: 'a|b' }],
    ['namespace', { namespace: 'a'.repeat(64) }],
    ['service ', { service: 'order.service' }],
    ['service ', { service: '*' }],
    ['service account', { serviceAccount: 'a/ns/b' }],
    ['data plane', { dataPlane: 'nginx' }],
    ['node', { nodeId: 'payment-service-1.default' }],
    ['labels', { labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, 'x'])) }],
    ['label', { labels: { '': 'x' } }],
    ['label', { labels: { 'a b': 'x' } }],
    ['label', { labels: { 'Not A Domain/a': 'x' } }],
    ['label', { labels: { a: 'x'.repeat(64) } }],
    ['label', { labels: { a: 'x\n' } }],
    ['locality', { locality: 'a/b/c/d' }],
    ['locality', { locality: '/' }],
    ['locality', { locality: 'x'.repeat(300) }],
    ['weight', { weight: -1 }],
    ['weight', { weight: 1.5 }],
    ['weight', { weight: 4_294_967_295 }],
    ['ports', { ports: [], dataPlane: 'none' }],
    ['ports', { ports: [], dataPlane: 'grpc' }],
    ['ports', { ports: Array.from({ length: 65 }, (_, i) => ({ ...port, name: `p${i}`, servicePort: i + 1 })) }],
    ['service port', { ports: [{ ...port, servicePort: 0 }] }],
    ['service port', { ports: [{ ...port, servicePort: 65_536 }] }],
    ['application port', { ports: [{ ...port, applicationPort: -1 }] }],
    ['mesh port', { ports: [{ ...port, meshPort: 0 }] }],
    ['mesh port', { ports: [{ ...port, meshPort: 1e9 }] }],
    ['called "http"', { ports: [port, { ...port, servicePort: 81 }] }],
    ['8080', { ports: [port, { ...port, name: 'other' }] }],
    ['protocol', { ports: [{ ...port, protocol: 'gopher' }] }],
    ['name of a port', { ports: [{ ...port, name: 'HTTP' }] }],
    ['address', { address: '' }],
    ['address', { address: 'example.com' }],
    ['address', { address: '0.0.0.0' }],
    ['address', { address: '::' }],
    ['address', { address: '224.0.0.1' }],
    ['address', { address: '255.255.255.255' }],
    ['address', { address: 'ff02::1' }],
    ['address', { address: 'fe80::1%eth0' }],
    ['address', { address: '::ffff:10.0.0.1' }],
    ['address', { address: '127.1' }],
    ['address', { address: '127.0.0.1:80' }],
    ['address', { address: 'unix:///run/docker.sock' }],
    ['metrics', { metricsAddress: '169.254.169.254:80' }],
    ['metrics', { metricsAddress: '127.0.0.1' }],
    ['metrics', { metricsAddress: '127.0.0.1:0' }],
    ['metrics', { metricsAddress: '127.0.0.1:99999' }],
    ['metrics', { metricsAddress: 'user@127.0.0.1:80' }],
    ['metrics', { metricsAddress: '127.0.0.1:80/x' }],
    ['process id', { proxyPid: -5 }],
  ] as [string, Partial<RegistrationInput>][])('refuses a wrong %s', (word, changes) => {
    expect(checkRegistration(input(changes))).toEqual({ refused: 'invalid', reason: expect.stringContaining(word) });
  });

  test('a label called like a part of every object is a label', () => {
    const labels = JSON.parse('{"constructor":"a","toString":"b"}');
    expect(JSON.stringify(checkRegistration(input({ labels })))).toContain('"constructor":"a"');
  });

  test('never throws, and lets no control character into its words, whatever comes', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.constantFrom('default', '127.0.0.1', 'http', 'outrigger'));
    const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, 1, 80, 65_535, 65_536));
    const anything = fc.record({
      instance: text,
      namespace: text,
      service: text,
      serviceAccount: text,
      labels: fc.dictionary(text, text),
      locality: text,
      weight: number,
      ports: fc.array(fc.record({ name: text, protocol: text, servicePort: number, applicationPort: number, meshPort: number }), { maxLength: 4 }),
      address: text,
      dataPlane: text,
      metricsAddress: text,
      nodeId: text,
      applicationPid: number,
      proxyPid: number,
    });
    // One hostile field in an otherwise good registration gets further in than all at once.
    const oneBad = fc
      .tuple(anything, fc.constantFrom(...(Object.keys(input()) as (keyof RegistrationInput)[])))
      .map(([bad, key]) => input({ [key]: bad[key as keyof typeof bad] }));
    fc.assert(
      fc.property(fc.oneof(anything, oneBad), (registration) => {
        const checked = checkRegistration(registration);
        if ('refused' in checked) expect(checked.reason).not.toMatch(/[\u0000-\u001f]/);
        else {
          expect(checked.nodeId).toBe(`${checked.instance}.${checked.namespace}`);
          expect(checked.ports.every((p) => p.meshPort >= 1 && p.meshPort <= 65_535)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
