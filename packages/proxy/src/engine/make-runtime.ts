import { randomBytes, X509Certificate } from 'node:crypto';
import { FastRandom } from '@outrigger/telemetry';
import { Slices } from '@outrigger/xds/slices';
import { HeaderNames } from '../http/header-names.ts';
import { InternalListeners } from '../listener/internal-listeners.ts';
import { ProcessGarbage } from '../memory/garbage.ts';
import { Intake } from '../net/intake.ts';
import { DEFAULT_TICK_MS, systemClock, type TimerClock, TimerWheel } from '../net/timer-wheel.ts';
import { Slabs, Turn } from '../net/turn-writer.ts';
import { OverloadState } from '../overload/overload-state.ts';
import { ProcessMemory } from '../overload/resource-monitors.ts';
import { GivenUpMemory } from '../resilience/given-up.ts';
import { TlsContexts } from '../tls/contexts.ts';
import type { SecretTable } from '../tls/secrets.ts';
import { parseSubjectAltNames } from '../tls/subject-alt-names.ts';
import { systemResolver } from '../upstream/resolver.ts';
import { Faults } from './faults.ts';
import type { ProxyLog, ProxyOptions } from './options.ts';
import type { ProcessParts, Runtime } from './runtime.ts';

/** Of a proxy that has its process for itself, or shares it. */
export function makeRuntime(secrets: SecretTable, log: ProxyLog, { intake, names, slabs }: ProcessParts, { tenancy, worker }: ProxyOptions): Runtime {
  const bytes = randomBytes(16);
  const seed = [0, 4, 8, 12].map((offset) => bytes.readUInt32LE(offset));
  const identity = new LocalIdentity(secrets);
  const faults = new Faults(log);
  const share = tenancy?.share;
  const clock: TimerClock = share === undefined ? systemClock : { ...systemClock, after: (delayMs, call) => systemClock.after(delayMs, share.metered(call)) };
  const slices = new Slices();
  return {
    background: (steps) => void slices.run(steps).catch((error) => faults.report(error, 'a change of endpoints was lost')),
    turn: new Turn(
      share === undefined ? setImmediate : (run) => share.flushLater(run),
      (error) => faults.report(error, 'a write was lost'),
      slabs,
      // A workload that shares its loop writes when the loop says so.
      share === undefined ? afterThisCall : null,
    ),
    gate: tenancy?.gate ?? null,
    intake,
    wheel: new TimerWheel(clock, DEFAULT_TICK_MS, (error) => faults.report(error, 'a timer was lost')),
    random: new FastRandom([seed[0]!, seed[1]!, seed[2]!, seed[3]!]),
    names,
    secrets,
    tls: new TlsContexts(secrets),
    internalListeners: new InternalListeners(),
    resolver: {
      resolve: (host, query, done) =>
        systemResolver.resolve(host, query, (addresses, error, ttlMs) => faults.guard('an answer of DNS was lost', () => done(addresses, error, ttlMs))),
    },
    givenUp: new GivenUpMemory(),
    nowMs: () => performance.now(),
    unixMs: () => Date.now(),
    localUri: () => identity.uri,
    health: { failing: false },
    worker: worker ?? null,
    overload: new OverloadState(),
    log,
    faults,
  };
}

export function processParts(): ProcessParts {
  const memory = new ProcessMemory();
  const intake = new Intake(memory.growth);
  return {
    intake,
    names: new HeaderNames(),
    slabs: new Slabs(memory.growth),
    overload: { memory, intake, garbage: new ProcessGarbage() },
  };
}

const DONE = Promise.resolve();

/** A microtask: after the call of Node's under way. `queueMicrotask` would make a resource for async_hooks each time. */
function afterThisCall(run: () => void): void {
  void DONE.then(run);
}

/** Our own SPIFFE id, worked out when a secret has changed. */
class LocalIdentity {
  readonly #secrets: SecretTable;
  #generation = -1;
  #uri = '';

  constructor(secrets: SecretTable) {
    this.#secrets = secrets;
  }

  get uri(): string {
    if (this.#generation !== this.#secrets.generation) {
      this.#generation = this.#secrets.generation;
      const [certificate] = this.#secrets.certificates().values();
      this.#uri = certificate === undefined ? '' : (parseSubjectAltNames(new X509Certificate(certificate.chainPem).subjectAltName).uri[0] ?? '');
    }
    return this.#uri;
  }
}
