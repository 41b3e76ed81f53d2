export type { Clock } from './clock.ts';
export type { DataPlane, Refusal, Registration, RegistrationPort } from './registry/registration.ts';
export type { Registry, RegistryChange } from './registry/registry.ts';
