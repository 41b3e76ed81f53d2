import type { ConnectionGateConfig } from '../xds/listener-config.ts';
import type { ConnectionInfo } from './connection-info.ts';

/** A network filter that says whether a new connection may be, before the one that serves it. */
export interface ConnectionGate {
  /** For how long it is kept before it is closed, ms; 0: not at all; undefined: it may be. */
  refuse(info: ConnectionInfo, nowMs: number): number | undefined;
  /** One that it let in is gone. */
  release(): void;
}

/** envoy.filters.network.connection_limit */
class ConnectionLimit implements ConnectionGate {
  readonly #max: number;
  readonly #delayMs: number;
  #active = 0;

  constructor(max: number, delayMs: number) {
    this.#max = max;
    this.#delayMs = delayMs;
  }

  refuse(): number | undefined {
    if (this.#active >= this.#max) return this.#delayMs;
    this.#active++;
    return undefined;
  }

  release(): void {
    this.#active--;
  }
}

/** envoy.filters.network.local_ratelimit: a bucket of tokens, one for each connection. */
class ConnectionRateLimit implements ConnectionGate {
  readonly #maxTokens: number;
  readonly #tokensPerFill: number;
  readonly #fillIntervalMs: number;
  #tokens: number;
  #filledAtMs: number | undefined;

  constructor(maxTokens: number, tokensPerFill: number, fillIntervalMs: number) {
    this.#maxTokens = maxTokens;
    this.#tokensPerFill = tokensPerFill;
    this.#fillIntervalMs = fillIntervalMs;
    this.#tokens = maxTokens;
  }

  refuse(_info: ConnectionInfo, nowMs: number): number | undefined {
    this.#filledAtMs ??= nowMs;
    const fills = Math.floor((nowMs - this.#filledAtMs) / this.#fillIntervalMs);
    if (fills > 0) {
      this.#filledAtMs += fills * this.#fillIntervalMs;
      this.#tokens = Math.min(this.#maxTokens, this.#tokens + fills * this.#tokensPerFill);
    }
    if (this.#tokens === 0) return 0;
    this.#tokens--;
    return undefined;
  }

  release(): void {}
}

/** envoy.filters.network.rbac before a connection manager; a TCP proxy asks its own, so that it can tell of the refusal in its log. */
class ConnectionPolicy implements ConnectionGate {
  readonly #config: Extract<ConnectionGateConfig, { kind: 'rbac' }>;

  constructor(config: Extract<ConnectionGateConfig, { kind: 'rbac' }>) {
    this.#config = config;
  }

  refuse(info: ConnectionInfo): number | undefined {
    return this.#config.policy.decide(info, null).allowed ? undefined : 0;
  }

  release(): void {}
}

export function makeGate(config: ConnectionGateConfig): ConnectionGate {
  switch (config.kind) {
    case 'connection-limit':
      return new ConnectionLimit(config.maxConnections, config.delayMs);
    case 'rate-limit':
      return new ConnectionRateLimit(config.maxTokens, config.tokensPerFill, config.fillIntervalMs);
    case 'rbac':
      return new ConnectionPolicy(config);
  }
}

/** All of a filter chain, in their order. */
export class ConnectionGates {
  readonly #gates: readonly ConnectionGate[];

  constructor(configs: readonly ConnectionGateConfig[]) {
    this.#gates = configs.map(makeGate);
  }

  /** As ConnectionGate.refuse; what let it in before one that does not has its place back. */
  refuse(info: ConnectionInfo, nowMs: number): number | undefined {
    for (let at = 0; at < this.#gates.length; at++) {
      const delayMs = this.#gates[at]!.refuse(info, nowMs);
      if (delayMs === undefined) continue;
      for (const passed of this.#gates.slice(0, at)) passed.release();
      return delayMs;
    }
    return undefined;
  }

  release(): void {
    for (const gate of this.#gates) gate.release();
  }
}
