import type { ControlPlane, ControlPlaneOptions } from './options.ts';

/** Starts the three roles in this process. Throws a `StartError`, leaving nothing behind. */
export async function startControlPlane(_options: ControlPlaneOptions): Promise<ControlPlane> {
  throw new Error('being written');
}
