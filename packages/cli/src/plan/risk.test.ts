import { expect, test } from 'vitest';
import type { AccessChange } from './access.ts';
import type { ProxyPlan, RoutePlan, ServicePlan } from './changes.ts';
import { type Judged, reasonsOf, riskOf } from './risk.ts';

const proxies = (count: number, refusal?: string): ProxyPlan[] =>
  Array.from({ length: count }, (_, index) => ({
    proxy: `w${index}.default`,
    workload: `default/w${index}`,
    gateway: false,
    changes: [{ type: 'CDS', name: 'c', change: 'added', bytes: 1, ...(refusal === undefined ? {} : { refusal }) }],
    bytes: 1,
  }));
const route = (before: string[], after: string[], change: RoutePlan['change'] = 'changed'): Partial<ServicePlan> => ({
  routes: [{ host: 'a:80', proxies: [], change, before, after, patchedBy: [] }],
});
const listener = (change: 'added' | 'changed' | 'removed', inbound: boolean): Partial<ServicePlan> => ({
  policies: [{ listener: 'l', inbound, proxies: [], change, because: [] }],
});
const access = (change: AccessChange['change']): AccessChange[] => [{ caller: 'x/y', target: 'x/z:80', change, request: 'GET /', requests: 1, because: '' }];
const replayed = (changedPercent: number, seen = 1_000) => ({ seen, sampled: 10, changedPercent, groups: [], unjudged: {} });
const message = (level: 'Error' | 'Warning' | 'Info') => ({
  code: 'X1',
  level,
  message: '',
  resource: { group: '', kind: '', namespace: '', name: '' },
  file: '',
  line: 0,
});

function judged(more: Partial<Judged>, service?: Partial<ServicePlan>): Judged {
  const services = service === undefined ? [] : [{ service: 's', routes: [], destinations: [], policies: [], ...service }];
  return { resources: 1, services, proxies: proxies(1), allProxies: 2, access: [], newMessages: [], replay: undefined, ...more };
}

test.each<readonly [string, string, Judged, RegExp]>([
  ['high', 'a refusal', judged({ proxies: proxies(1, 'no') }), /w0\.default would refuse/],
  ['high', 'lost access', judged({ access: access('loses') }), /x\/y loses access to x\/z:80/],
  ['high', 'a 404', judged({}, route(['/* -> a:80'], ['/x* -> answers 404', '/* -> a:80'])), /would lead nowhere/],
  ['high', 'a backend that is none', judged({}, route(['/* -> a:80'], ['/* -> invalid-backend.invalid:80'])), /would lead nowhere/],
  ['high', 'requests without a route', judged({}, route(['/* -> a:80'], ['/x* -> a:80'])), /have no route any more/],
  ['high', 'a host that goes', judged({}, route(['/* -> a:80'], [], 'removed')), /has no routes any more/],
  ['high', 'a listener that goes', judged({}, listener('removed', false)), /1 listener is taken away: l/],
  ['high', 'an error', judged({ newMessages: [message('Error')] }), /1 new error of analysis: X1/],
  ['high', 'more than one percent of what was seen', judged({ replay: replayed(1.2) }), /1\.2 % of 1000 requests/],
  ['medium', 'less of it', judged({ replay: replayed(0.04) }), /less than 0\.1 % of 1000 requests/],
  ['medium', 'other routes', judged({}, route(['/* -> a:80'], ['/* -> b:80'])), /requests to a:80 are routed otherwise/],
  ['medium', 'gained access', judged({ access: access('gains') }), /x\/y gains access/],
  ['medium', 'an inbound listener', judged({}, listener('changed', true)), /let in at s is decided otherwise/],
  ['medium', 'another listener', judged({}, listener('changed', false)), /what s takes is carried on otherwise/],
  ['medium', 'a warning', judged({ newMessages: [message('Warning')] }), /1 new warning of analysis/],
  ['medium', 'half of a mesh', judged({ proxies: proxies(10), allProxies: 20 }), /10 of 20 proxies are touched/],
  ['low', 'a route that is new', judged({}, route([], ['/* -> a:80'], 'added')), /nothing that is there is treated otherwise/],
  ['low', 'what nobody uses', judged({ proxies: [] }), /1 resource is another, and no proxy is touched/],
  ['low', 'a word of analysis', judged({ newMessages: [message('Info')] }), /1 proxy gets something new/],
])('%s is the risk of %s', (risk, _, input, reason) => {
  const reasons = reasonsOf(input);
  expect(riskOf(reasons)).toBe(risk);
  expect(reasons[0]!.reason).toMatch(reason);
});

test('nothing is of no risk', () => {
  expect(riskOf(reasonsOf(judged({ resources: 0, proxies: [], replay: replayed(0) })))).toBe('none');
});
