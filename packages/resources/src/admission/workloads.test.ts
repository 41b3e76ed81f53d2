import { expect, test } from 'vitest';
import type { WorkloadEntrySpec, WorkloadGroupSpec } from '../kinds/workloads.ts';
import { workloadEntryErrors, workloadGroupErrors } from './workloads.ts';

test.each<[WorkloadEntrySpec, string[]]>([
  [{ address: '10.0.0.1', ports: { http: 80 }, labels: { 'example.com/app': 'a' } }, []],
  [{ address: '2001:db8::1' }, []],
  [{ address: 'a.example' }, []],
  [{ address: 'unix:///run/a.sock' }, []],
  [{ address: 'unix://@a' }, []],
  [{ network: 'n' }, []],
  [{}, ['spec.address']],
  [{ address: 'a b' }, ['spec.address']],
  [{ address: '10.0.0.256' }, ['spec.address']],
  [{ address: 'unix://a' }, ['spec.address']],
  [{ address: 'unix:///run/' }, ['spec.address']],
  [{ address: 'unix:///run/a', ports: { http: 80 } }, ['spec.ports']],
  [{ address: 'a', ports: { 'h p': 80 } }, ['spec.ports.h p']],
  [{ address: 'a', ports: { http: 0 } }, ['spec.ports.http']],
  [{ address: 'a', labels: { '': 'x' } }, ['spec.labels']],
  [{ address: 'a', labels: { a: 'b c' } }, ['spec.labels']],
])('WorkloadEntry %j', (spec, fields) => {
  expect(workloadEntryErrors(spec).map(({ field }) => field)).toEqual(fields);
});

const group = (probe: WorkloadGroupSpec['probe'], labels: Record<string, string> = {}): WorkloadGroupSpec => ({
  metadata: { labels },
  template: {},
  ...(probe === undefined ? {} : { probe }),
});

test.each<[WorkloadGroupSpec, string[]]>([
  [group(undefined, { app: 'a' }), []],
  [group({ httpGet: { port: 80, scheme: 'HTTPS', httpHeaders: [{ name: 'X-A', value: 'b' }] } }), []],
  [group({ tcpSocket: { port: 80 } }), []],
  [group({ exec: { command: ['true'] } }), []],
  [group({ grpc: { port: 80 } }), []],
  [group(undefined, { 'a b': 'c' }), ['spec.metadata.labels']],
  [group({}), ['spec.probe']],
  [group({ tcpSocket: { port: 80 }, periodSeconds: -1 }), ['spec.probe.periodSeconds']],
  [group({ tcpSocket: { port: 0 } }), ['spec.probe.tcpSocket.port']],
  [group({ httpGet: { port: 80, scheme: 'http' } }), ['spec.probe.httpGet.scheme']],
  [group({ httpGet: { port: 80, httpHeaders: [{ name: 'a_b' }] } }), ['spec.probe.httpGet.httpHeaders[0].name']],
  [group({ exec: {} }), ['spec.probe.exec.command']],
])('WorkloadGroup %j', (spec, fields) => {
  expect(workloadGroupErrors(spec).map(({ field }) => field)).toEqual(fields);
});
