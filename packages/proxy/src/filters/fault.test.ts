import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { HTTPFaultSchema } from '@outrigger/xds/protos/envoy/extensions/filters/http/fault/v3/fault';
import { describe, expect, it } from 'vitest';
import { RequestHead } from '../http/message.ts';
import { CompileReport } from '../routing/compile-result.ts';
import { compileFault, type FaultPolicy } from './fault.ts';

function policy(json: JsonObject): FaultPolicy {
  const report = new CompileReport();
  const compiled = compileFault(fromJson(HTTPFaultSchema, json), 'fault', report);
  expect(report.errors).toEqual([]);
  return compiled;
}

const request = (...headers: string[]): RequestHead => Object.assign(new RequestHead(), { method: 'GET', path: '/', headers });
const HALF = 0x8000_0000;
const all = { numerator: 100 };

describe('fault', () => {
  it('holds back a share of requests', () => {
    const delay = policy({ delay: { fixedDelay: '1.500s', percentage: { numerator: 50 } } });
    expect(delay.delayMs(request(), HALF - 1)).toBe(1500);
    expect(delay.delayMs(request(), HALF)).toBe(0);
    expect(delay.aborts(request(), 0)).toBe(false);
  });

  it('aborts with a status, or a gRPC status', () => {
    const http = policy({ abort: { httpStatus: 418, percentage: all } });
    expect([http.aborts(request(), 0), http.abortStatus(request()), http.abortGrpcStatus(request())]).toEqual([true, 418, -1]);
    const grpc = policy({ abort: { grpcStatus: 14, percentage: all } });
    expect([grpc.aborts(request(), 0), grpc.abortStatus(request()), grpc.abortGrpcStatus(request())]).toEqual([true, 0, 14]);
  });

  it('does nothing without a percentage', () => {
    expect(policy({ abort: { httpStatus: 500 } }).enabled).toBe(false);
    expect(policy({}).appliesTo(request(), 'c')).toBe(false);
  });

  it('looks at headers and cluster', () => {
    const fault = policy({ abort: { httpStatus: 500, percentage: all }, headers: [{ name: 'x-user', exactMatch: 'jason' }], upstreamCluster: 'c' });
    expect(fault.appliesTo(request('X-User', 'jason'), 'c')).toBe(true);
    expect(fault.appliesTo(request('X-User', 'jason'), 'd')).toBe(false);
    expect(fault.appliesTo(request(), 'c')).toBe(false);
  });

  it("lets a caller's header decide, never more often than configured", () => {
    const fault = policy({ delay: { headerDelay: {}, percentage: { numerator: 50 } }, abort: { headerAbort: {}, percentage: all } });
    expect(fault.delayMs(request('x-envoy-fault-delay-request', '250'), 0)).toBe(250);
    expect(fault.delayMs(request('x-envoy-fault-delay-request', '250', 'x-envoy-fault-delay-request-percentage', '100'), HALF)).toBe(0);
    expect(fault.delayMs(request('x-envoy-fault-delay-request', '250', 'x-envoy-fault-delay-request-percentage', '10'), HALF - 1)).toBe(0);
    expect(fault.delayMs(request(), 0)).toBe(0);
    expect(fault.aborts(request(), 0)).toBe(false);
    expect(fault.aborts(request('x-envoy-fault-abort-request', '503'), 0)).toBe(true);
    expect(fault.aborts(request('x-envoy-fault-abort-request', '99'), 0)).toBe(false);
  });

  it('refuses what it cannot do', () => {
    const report = new CompileReport();
    compileFault(
      fromJson(HTTPFaultSchema, { responseRateLimit: { fixedLimit: { limitKbps: '1' } }, downstreamNodes: ['n'], abort: { httpStatus: 700, percentage: all } }),
      'fault',
      report,
    );
    expect(report.errors.map((error) => error.path)).toEqual(['fault.downstream_nodes', 'fault.response_rate_limit', 'fault.abort.http_status']);
  });
});
