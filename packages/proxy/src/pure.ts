/** What needs neither socket nor clock: `rig simulate` and `rig plan` ask these, and so does the running proxy. */
export { formatPeer, parsePeer } from './filters/peer.ts';
export { NO_ADDRESS, parseIp } from './filters/rbac/ip-address.ts';
export type { RbacVerdict } from './filters/rbac/rbac.ts';
export { compileRbac, RbacFilter, RbacRules } from './filters/rbac/rbac.ts';
export type { ConnectionFacts } from './filters/rbac/rule.ts';
export type { HeaderList } from './http/message.ts';
export { RequestHead, ResponseHead } from './http/message.ts';
export { compileLbOptions } from './lb/compile-lb.ts';
export type { LbOptions, LbPolicy } from './lb/options.ts';
export { compileLimits } from './resilience/limits.ts';
export type { OutlierPolicy } from './resilience/outlier-detection.ts';
export { compileOutlierPolicy } from './resilience/outlier-detection.ts';
export type { CompileError, CompileResult } from './routing/compile-result.ts';
export { describeErrors } from './routing/compile-result.ts';
export { assembleRouteTable, compileRouteConfiguration, compileVirtualHost } from './routing/compile-routes.ts';
export type { RouteEntryFields } from './routing/route-entry.ts';
export { RouteEntry } from './routing/route-entry.ts';
export { CompiledVirtualHost, RouteTable } from './routing/route-table.ts';
