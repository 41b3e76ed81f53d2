import { type GatewayArguments, gatewayOptions } from '../gateway/options.ts';
import { type RunOptions, run } from './run.ts';

/** `rig gateway`: a proxy with an identity of its own and no application, whose listeners come from the `Gateway` resources that select it. */
export function gateway(options: Omit<RunOptions, 'command' | 'gateway'> & GatewayArguments): Promise<void> {
  return run({ ...options, command: [], gateway: gatewayOptions(options) });
}
