import { expect, test } from 'vitest';
import { isKind } from '../kinds/known.ts';
import { parseRequirement } from '../kinds/rollout.ts';
import { readResources } from '../read.ts';

const rollout = (spec: string) => `apiVersion: outrigger.dev/v1alpha1
kind: Rollout
metadata: {name: order-service}
spec: {service: order-service, ${spec}}
`;
const read = (spec: string) => readResources([{ file: 'rollout.yaml', text: rollout(spec) }]);

test('what is left out has its default', async () => {
  const { resources, problems } = await read('to: v2');
  expect(problems).toEqual([]);
  const [resource] = resources;
  expect(resource !== undefined && isKind(resource, 'Rollout') && resource.spec).toEqual({
    service: 'order-service',
    to: 'v2',
    steps: [1, 10, 50, 100],
    every: '60s',
    require: ['success>=99%'],
    confidence: 99,
    minimumRequests: 100,
    deadline: '30m',
  });
});

test.each([
  ['no version', 'from: v1', 'spec.to: Required value'],
  ['the same version twice', 'from: v2, to: v2', 'must be another version than spec.from'],
  ['steps that fall', 'to: v2, steps: [50, 10, 100]', 'each step must be more than the one before'],
  ['steps that do not end at 100', 'to: v2, steps: [10, 50]', 'the last step must be 100'],
  ['a step of three decimals', 'to: v2, steps: [0.125, 100]', 'at most two decimals'],
  ['a time that is none', 'to: v2, every: soon', 'spec.every: Invalid value: "soon"'],
  ['a deadline within a step', 'to: v2, every: 60s, deadline: 30s', 'must be longer than spec.every'],
  ['no requirement', 'to: v2, require: []', 'spec.require'],
  ['a requirement of another form', "to: v2, require: ['errors<1%']", 'must be of the form success>=99.5%'],
  ['two ways to stick', 'to: v2, sticky: {header: x-user, cookie: session}', 'one of header and cookie is enough'],
  ['no way to stick', 'to: v2, sticky: {}', 'spec.sticky: Required value'],
  ['a field that there is not', 'to: v2, step: [100]', 'unknown field "spec.step"'],
])('%s is refused', async (_, spec, message) => {
  const { resources, problems } = await read(spec);
  expect(resources).toEqual([]);
  expect(problems.map((problem) => problem.message).join('\n')).toContain(message);
});

test.each([
  ['success>=99.5%', { metric: 'success', unit: '%', least: 0.995 }],
  ['success >= 0.99x', { metric: 'success', unit: 'x', least: 0.99 }],
  ['p99<=1.2x', { metric: 'latency', quantile: 0.99, unit: 'x', most: 1.2 }],
  ['p99.9<=1.5s', { metric: 'latency', quantile: 0.999, unit: 'ms', most: 1500 }],
])('%s', (text, meant) => {
  expect(parseRequirement(text)).toMatchObject(meant);
});

test.each(['success>=100%', 'success>=1x', 'success<=99%', 'p99<=1x', 'p99<=300', 'p0<=1.2x', 'p100<=1.2x', 'p99>=1.2x', 'p99<=-5ms', ''])(
  '%s is no requirement',
  (text) => {
    expect(parseRequirement(text)).toHaveProperty('fault');
  },
);
