import type { AddressSchema } from '@outrigger/xds/protos/envoy/config/core/v3/address';
import type { Init } from './messages.ts';

export function socketAddress(host: string, port: number): Init<typeof AddressSchema> {
  return { address: { case: 'socketAddress', value: { address: host, portSpecifier: { case: 'portValue', value: port } } } };
}

export function pipeAddress(path: string): Init<typeof AddressSchema> {
  return { address: { case: 'pipe', value: { path } } };
}

/** An instance's address, which may be "unix:///path". */
export function endpointAddress(address: string, port: number): Init<typeof AddressSchema> {
  return address.startsWith('unix://') ? pipeAddress(address.slice('unix://'.length)) : socketAddress(address, port);
}

export function isIp(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host) || host.includes(':');
}
