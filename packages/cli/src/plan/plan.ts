import type { Registry } from '@bufbuild/protobuf';
import type { Message } from '@outrigger/analysis';
import { refKey } from '@outrigger/resources';
import { type AccessChange, accessChanges } from './access.ts';
import { changesOf, type ProxyPlan, type ServicePlan } from './changes.ts';
import type { PlanInput, PlannedProxy, ResourceDifference } from './input.ts';
import { type ReplayReport, replay, type Traffic } from './replay.ts';
import { type Reason, type Risk, reasonsOf, riskOf } from './risk.ts';
import { CompiledXds, Tables } from './tables.ts';
import { XdsState } from './xds-state.ts';

/** What a change of configuration will do before it is made. */
export interface Plan {
  readonly risk: Risk;
  /** The gravest first. */
  readonly reasons: readonly Reason[];
  readonly resources: readonly ResourceDifference[];
  readonly services: readonly ServicePlan[];
  readonly access: readonly AccessChange[];
  /** Those that are sent something. */
  readonly proxies: readonly ProxyPlan[];
  readonly allProxies: number;
  /** Workloads and gateways that only come or go with the change. */
  readonly newProxies: readonly string[];
  readonly goneProxies: readonly string[];
  /** To all proxies together. */
  readonly xdsBytes: number;
  readonly messages: { readonly new: readonly Message[]; readonly gone: readonly Message[] };
  readonly replay?: ReplayReport;
  readonly assumed: readonly string[];
}

/** A pure function of its input: translation, the proxies' tables and analysis, before and after. `registry`: of the types of xDS. */
export function planOf(input: PlanInput, registry: Registry, traffic?: Traffic): Plan {
  const { before, after } = input;
  const there = new Map(before.proxies.map((proxy) => [proxy.node.id, proxy]));
  // As they are afterwards: a label that changes is a change of the mesh.
  const staying: PlannedProxy[] = after.proxies.filter(({ node }) => there.has(node.id));
  const then = new Set(after.proxies.map(({ node }) => node.id));
  const old = new XdsState(before.world.mesh);
  const now = new XdsState(after.world.mesh, old, input.touched);
  const compiled = new CompiledXds();
  const oldTables = new Tables(old, compiled);
  const newTables = new Tables(now, compiled, oldTables);
  const { proxies, services } = changesOf(input, staying, { before: old, after: now, tables: newTables, registry });
  const access = accessChanges({ mesh: before.world.mesh, state: old, tables: oldTables }, { mesh: after.world.mesh, state: now, tables: newTables }, staying);
  const messages = messageDifferences(before.messages, after.messages);
  const replayed = traffic === undefined ? undefined : replay(traffic, oldTables, newTables);
  const reasons = reasonsOf({
    resources: input.resources.length,
    services,
    proxies,
    allProxies: staying.length,
    access: access.changes,
    newMessages: messages.new,
    replay: replayed,
  });
  return {
    risk: riskOf(reasons),
    reasons,
    resources: input.resources,
    services,
    access: access.changes,
    proxies,
    allProxies: staying.length,
    newProxies: after.proxies.map(({ node }) => node.id).filter((id) => !there.has(id)),
    goneProxies: before.proxies.map(({ node }) => node.id).filter((id) => !then.has(id)),
    xdsBytes: proxies.reduce((sum, { bytes }) => sum + bytes, 0),
    messages,
    ...(replayed === undefined ? {} : { replay: replayed }),
    assumed: access.unasked === 0 ? input.assumed : [...input.assumed, `${access.unasked} questions of who may call whom were not asked: there are too many`],
  };
}

function messageDifferences(before: readonly Message[], after: readonly Message[]): Plan['messages'] {
  const keyOf = ({ code, resource, message }: Message): string => `${code} ${refKey(resource)} ${message}`;
  const [old, now] = [new Set(before.map(keyOf)), new Set(after.map(keyOf))];
  return { new: after.filter((message) => !old.has(keyOf(message))), gone: before.filter((message) => !now.has(keyOf(message))) };
}
