import type { ProxyNode } from '@outrigger/translate';
import type { Call, ClientCertificate } from '../../packages/cli/src/simulate/call.ts';
import type { Outcome } from '../../packages/cli/src/simulate/outcome.ts';
import type { World } from '../../packages/cli/src/simulate/world.ts';
import { type Plane, planes } from '../proxy/data-plane.ts';
import { Contestant } from './contestant.ts';
import { type Door, type DoorRequest, Doors, type DoorTls, send } from './door.ts';
import type { Behavior } from './echo-backend.ts';
import { type KeyAndCertificate, Secrets } from './secrets.ts';
import { byChance, comparable, copiesOf, difference, type Seen, unlike } from './seen.ts';
import { snapshotOf } from './snapshot.ts';

/** One call in a world, and what a simulation says of it. */
export interface Trial {
  readonly name: string;
  readonly call: Call;
  /** Of a client that says HTTP/2 by itself, without TLS to choose it in. */
  readonly http2?: boolean;
  /** Name of the listener that its connection comes to. undefined: there is none. */
  readonly listener: string | undefined;
  readonly told: Outcome;
  /** Nobody tells what becomes of it, but for what is left to chance. */
  readonly untold?: boolean;
  readonly behavior?: Behavior;
  readonly certificate?: KeyAndCertificate;
}

/** A world, the proxy that is asked in it, and what it is asked. */
export interface Round {
  readonly world: World;
  readonly node: ProxyNode;
  readonly trials: readonly Trial[];
  /** Hosts for which a forward proxy asks, one by one. */
  readonly authorities?: readonly string[];
}

export interface Difference {
  readonly trial: string;
  readonly why: string;
  readonly seen: Readonly<Record<Plane, unknown>>;
}

/** A difference is looked at again: a worker of Envoy may not have what its main thread has acknowledged. */
const AGAIN_AFTER_MS = [20, 80, 300, 1_000];
const MIRROR_PATIENCE_MS = 1_000;

/** Our proxy and an Envoy, given the same worlds and the same calls. */
export class Duel {
  readonly #secrets: Secrets;
  readonly #contestants: readonly Contestant[];
  #calls = 0;
  /** A proxy that has asked for a host hears of it until it forgets it. */
  readonly #authorities = new Set<string>();

  private constructor(secrets: Secrets, contestants: readonly Contestant[]) {
    this.#secrets = secrets;
    this.#contestants = contestants;
  }

  static async start(): Promise<Duel> {
    const secrets = new Secrets();
    return new Duel(secrets, await Promise.all(planes.map((plane) => Contestant.start(plane, secrets))));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#contestants.map((contestant) => contestant.stop()));
  }

  /** What differs: between the two, or from what was told of either. */
  async fight({ world, node, trials, authorities = [] }: Round): Promise<readonly Difference[]> {
    this.#secrets.use(world.others);
    for (const authority of authorities) this.#authorities.add(authority.toLowerCase());
    const snapshots = this.#contestants.map((contestant) => {
      const own: ProxyNode = contestant.plane === 'envoy' ? { ...node, dataPlane: 'envoy', onDemand: false } : node;
      return snapshotOf(
        world.mesh,
        own,
        (cluster) => contestant.endpointOf(cluster),
        (listener) => contestant.portOf(listener),
        authorities.length === 0 ? [] : [...this.#authorities],
      );
    });
    const refusals = await Promise.all(
      this.#contestants.map((contestant, index) => {
        contestant.backend.forget();
        return contestant.take(snapshots[index]!);
      }),
    );
    const refused = this.#contestants.flatMap(({ plane }, index) =>
      refusals[index]!.map((message) => ({ trial: '', why: `${plane} refuses: ${message}`, seen: { outrigger: '', envoy: '' } })),
    );
    if (refused.length > 0) return refused;
    const doors = this.#contestants.map(() => new Doors());
    const found = await Promise.all(trials.map((trial) => this.#look(trial, doors, snapshots[0]!.clusters)));
    for (const agent of doors) agent.destroy();
    return found.filter((difference) => difference !== undefined);
  }

  async #look(trial: Trial, doors: readonly Doors[], clusters: ReadonlySet<string>): Promise<Difference | undefined> {
    for (const afterMs of [0, ...AGAIN_AFTER_MS]) {
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
      const seen = await Promise.all(this.#contestants.map((contestant, index) => this.#see(contestant, doors[index]!, trial, clusters)));
      const [ours, envoy] = seen.map(comparable);
      const reasons = this.#contestants.flatMap(({ plane }, index) => {
        const why = trial.untold === true ? undefined : unlike(trial.told, seen[index]!, clusters);
        return why === undefined ? [] : [`${plane}: ${why}`];
      });
      const apart = byChance(trial.told) ? undefined : difference(ours, envoy);
      if (apart !== undefined) reasons.push(apart);
      if (reasons.length === 0) return undefined;
      if (afterMs === AGAIN_AFTER_MS.at(-1)) return { trial: trial.name, why: reasons.join('; '), seen: { outrigger: ours, envoy } };
    }
    return undefined;
  }

  async #see(contestant: Contestant, doors: Doors, trial: Trial, clusters: ReadonlySet<string>): Promise<Seen> {
    const { listener, call, told } = trial;
    if (listener === undefined) return { answer: { kind: 'closed', why: 'no listener' }, arrivals: [] };
    const id = `${++this.#calls}`;
    if (trial.behavior !== undefined) contestant.backend.behave(id, trial.behavior);
    const door: Door = { port: contestant.portOf(listener), address: call.address, dialledPort: call.port };
    const answer = await send(doors, door, id, await this.#tlsOf(trial), requestOf(trial));
    const copies = answer.kind === 'answer' && told.decision === 'route' ? copiesOf(told, clusters).filter(({ percent }) => percent >= 100).length : 0;
    if (copies > 0) await this.#arrive(contestant, id, copies + 1);
    return { answer, arrivals: contestant.backend.arrivalsOf(id) };
  }

  /** Copies arrive when they arrive. */
  async #arrive({ backend }: Contestant, id: string, count: number): Promise<void> {
    for (const until = Date.now() + MIRROR_PATIENCE_MS; backend.arrivalsOf(id).length < count && Date.now() < until; )
      await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async #tlsOf({ call: { tls }, certificate }: Trial): Promise<DoorTls | undefined> {
    if (tls === undefined) return undefined;
    return { sni: tls.sni, alpn: tls.alpn, certificate: certificate ?? (await this.#certificateOf(tls.certificate)) };
  }

  async #certificateOf(shown: 'none' | ClientCertificate): Promise<KeyAndCertificate | undefined> {
    if (shown === 'none') return undefined;
    return this.#secrets.certificate(typeof shown === 'object' && 'signedBy' in shown ? shown.signedBy : undefined);
  }
}

function requestOf({ call: { request }, http2 }: Trial): DoorRequest | undefined {
  if (request === undefined) return undefined;
  const { method, scheme, authority, path, headers } = request;
  return { version: http2 === true || request.plainProtocol === 'h2c' ? 'h2' : 'http/1.1', method, scheme, authority, path, headers };
}
