export { type TrustBundleSource, type WorkloadServiceOptions, workloadMethods } from './attach/workload-service.ts';
export type { Clock } from './clock.ts';
export { createDnsClient, type DnsClient, type DnsServer, dnsServerOf } from './dns/dns-client.ts';
export { createSrvWatch, type SrvState, type SrvStore, type SrvWatch } from './dns/srv-watch.ts';
export { systemDnsServers } from './dns/system-servers.ts';
export {
  type AttachedRegistry,
  type AttachedRegistryOptions,
  type Attachment,
  createAttachedRegistry,
} from './registry/attached-registry.ts';
export { checkRegistration, type RegistrationInput, type RegistrationPortInput } from './registry/check-registration.ts';
export { type ConfigRegistry, type ConfigRegistryChange, createConfigRegistry } from './registry/config-registry.ts';
export { createMergedRegistry, type MergedRegistry } from './registry/merged-registry.ts';
export type { InstanceSource, RegisteredInstance } from './registry/registered-instance.ts';
export type { DataPlane, Refusal, Registration, RegistrationPort } from './registry/registration.ts';
export type { Registry, RegistryChange } from './registry/registry.ts';
export type { RegistryStore } from './registry/registry-store.ts';
export { createSelectingRegistry, type SelectingRegistry } from './registry/selecting-registry.ts';
export { isGateway } from './registry/synthesize.ts';
export { createWholeRegistry } from './registry/whole-registry.ts';
