import { join } from 'node:path';
import { ApiClient } from './client.ts';

/** Sockets of a control plane, below its state directory. */
export function apiSocket(stateDirectory: string): string {
  return join(stateDirectory, 'run', 'api.sock');
}

export function agentSocket(stateDirectory: string): string {
  return join(stateDirectory, 'run', 'agent.sock');
}

export function apiOf(stateDirectory: string): ApiClient {
  return new ApiClient(apiSocket(stateDirectory));
}
