import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { CircuitBreakersSchema } from '@outrigger/xds/protos/envoy/config/cluster/v3/circuit_breaker';
import { describe, expect, it } from 'vitest';
import { compileLimits, compilePerHostConnections, type ResourceLimits } from './limits.ts';

const compile = (json: JsonObject) => compileLimits(fromJson(CircuitBreakersSchema, json));

describe('limits', () => {
  it.each<[string, string, (limits: ResourceLimits) => boolean, (limits: ResourceLimits) => void]>([
    ['connections', 'maxConnections', (limits) => limits.tryConnection(), (limits) => limits.releaseConnection()],
    ['pending requests', 'maxPendingRequests', (limits) => limits.tryPendingRequest(), (limits) => limits.releasePendingRequest()],
    ['requests', 'maxRequests', (limits) => limits.tryRequest(), (limits) => limits.releaseRequest()],
    ['retries', 'maxRetries', (limits) => limits.tryRetry(), (limits) => limits.releaseRetry()],
  ])('let so many %s through and no more', (_name, field, take, release) => {
    const limits = compile({ thresholds: [{ [field]: 2 }] }).default;
    expect([take(limits), take(limits), take(limits)]).toEqual([true, true, false]);
    release(limits);
    expect([take(limits), take(limits)]).toEqual([true, false]);
  });

  it("have Envoy's defaults", () => {
    expect(compileLimits(undefined).default.settings).toEqual({
      maxConnections: 1024,
      maxPendingRequests: 1024,
      maxRequests: 1024,
      maxRetries: 3,
      retryBudgetPercent: -1,
      minRetryConcurrency: 3,
    });
  });

  it('are apart for high priority', () => {
    const limits = compile({ thresholds: [{ maxRequests: 1 }, { priority: 'HIGH', maxRequests: 2 }] });
    expect(limits.default.settings.maxRequests).toBe(1);
    expect(limits.high.settings.maxRequests).toBe(2);
  });

  it.each([
    [0, 3],
    [10, 3],
    [20, 4],
    [100, 20],
  ])('with %i active requests a budget of 20 %% allows %i retries', (active, allowed) => {
    const limits = compile({ thresholds: [{ retryBudget: { budgetPercent: { value: 20 }, minRetryConcurrency: 3 } }] }).default;
    for (let i = 0; i < active; i++) limits.tryRequest();
    let taken = 0;
    while (limits.tryRetry()) taken++;
    expect(taken).toBe(allowed);
  });

  it('know connections per endpoint', () => {
    expect(compilePerHostConnections(fromJson(CircuitBreakersSchema, { perHostThresholds: [{ maxConnections: 7 }] }))).toBe(7);
    expect(compilePerHostConnections(undefined)).toBe(Number.POSITIVE_INFINITY);
  });
});
