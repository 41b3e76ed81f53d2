import { giveBackMemory } from '../memory/garbage.ts';
import { keepHeapTrimmed } from '../memory/native-heap.ts';
import { initialLogging, processLog } from '../process-log.ts';
import { type Channel, inheritedSockets, tell } from '../restart/hand-over.ts';
import { ProcessEnd } from '../restart/process-end.ts';
import { DEFAULT_SLICE_MS, FairLoop } from './fair-loop.ts';
import { NodeHost } from './node-host.ts';
import { isNodeOrder, type NodeOrder } from './orders.ts';

/** For measuring: ms that all workloads together may take between two looks at the sockets; "off": nobody waits for anybody. */
const SLICE = 'OUTRIGGER_NODE_SLICE_MS';

const SETTLE_MS = 3_000;
const IDLE_UTILIZATION = 0.1;

/** Runs the proxies of all workloads of a host in this process, as its parent orders over the channel between them, until SIGTERM or SIGINT. */
export async function runNode(options: { readonly version: string }): Promise<void> {
  if (!process.connected) throw new Error('the shared process of a node takes its orders from `rig node`, which starts it');
  const parent = process as unknown as Channel;
  const log = processLog(initialLogging());
  const loop = new FairLoop({ nowMs: () => performance.now(), afterReads: setImmediate }, sliceMs(), (error) =>
    log('error', 'work of a workload was lost', { error: String(error) }),
  );
  const settling = new Settling(loop);
  keepHeapTrimmed();
  // From the beginning: orders come at once.
  const orders: NodeOrder[] = [];
  let take = (order: NodeOrder): void => void orders.push(order);
  process.on('message', (message) => {
    if (isNodeOrder(message)) take(message);
  });
  const host = new NodeHost({
    version: options.version,
    loop,
    log: (workload, logging) => {
      logging.level = initialLogging().level;
      return processLog(logging, { workload });
    },
    answer: (answer) => {
      if (process.connected) process.send?.(answer);
    },
    inherited: await inheritedSockets(parent),
  });
  // One workload's mistake must not end the others: what no guard has caught costs what it was about, and is told.
  process.on('uncaughtException', (error) => log('error', 'a mistake in this proxy; please report it', { stack: error.stack ?? String(error) }));
  take = (order) => {
    if (order.node === 'start')
      void Promise.all(order.workloads.map((workload) => host.add(workload))).then(() => {
        serving(host, parent);
        settling.begin();
      });
    else if (order.node === 'add') void host.add(order.workload).then(() => settling.begin());
    else void host.remove(order.key);
  };
  for (const order of orders) take(order);
  const end = new ProcessEnd(host, parent);
  process.on('SIGHUP', () => {
    if (!end.begun) tell(parent, { outrigger: 'restart' });
  });
  // Nobody would renew the certificates.
  process.on('disconnect', end.begin);
  await end.ended;
  process.exit(0);
}

/** Gives memory back once nothing has been added for a while, where no workload has had traffic yet: its compiled code would go too. */
class Settling {
  readonly #loop: FairLoop;
  #timer: NodeJS.Timeout | undefined;

  constructor(loop: FairLoop) {
    this.#loop = loop;
  }

  begin(): void {
    clearTimeout(this.#timer);
    const before = performance.eventLoopUtilization();
    this.#timer = setTimeout(() => {
      if (this.#loop.trafficSeen) return;
      if (performance.eventLoopUtilization(before).utilization < IDLE_UTILIZATION) giveBackMemory();
      else this.begin();
    }, SETTLE_MS);
    this.#timer.unref();
  }
}

function serving(host: NodeHost, parent: Channel): void {
  host.dropInherited();
  if (process.connected) tell(parent, { outrigger: 'serving' });
}

function sliceMs(): number {
  const text = process.env[SLICE];
  if (text === 'off') return Number.POSITIVE_INFINITY;
  const ms = Number(text);
  return text !== undefined && ms > 0 ? ms : DEFAULT_SLICE_MS;
}
