import { join } from 'node:path';
import { controlPlaneOf } from '../workload/control-plane.ts';
import type { WorkloadOptions } from '../workload/options.ts';
import { Workload } from '../workload/workload.ts';
import { type ShopInstance, servicePort } from './shop.ts';

/** What all workloads of a demo have in common. */
export interface Surroundings {
  readonly state: string;
  readonly envoyServices: readonly string[];
  readonly say: (text: string) => void;
}

/** One instance of the shop, not yet started. */
export function shopWorkload({ name, version, instance, next, command }: ShopInstance, applicationPort: number, around: Surroundings): Workload {
  return workload(around, {
    options: { name, version, instance, labels: { app: name, version }, ports: [{ protocol: 'http', servicePort, applicationPort }], healthPath: '/healthz' },
    command,
    environment: { NAME: name, VERSION: version, PORT: String(applicationPort), NEXT: next === '' ? '' : `http://${next}:${servicePort}/` },
    stdout: 'ignore',
  });
}

/** Who calls the shop; reports on its standard output. */
export function loadWorkload(examples: string, ratePerSecond: number, around: Surroundings): Workload {
  return workload(around, {
    options: { name: 'load', version: '', instance: 'load', labels: { app: 'load' }, ports: [], healthPath: '' },
    command: [process.execPath, join(examples, 'load.mjs')],
    environment: { TARGET: `http://web:${servicePort}/`, RATE: String(ratePerSecond) },
    stdout: 'pipe',
  });
}

interface Part {
  readonly options: Pick<WorkloadOptions, 'name' | 'version' | 'instance' | 'labels' | 'ports' | 'healthPath'>;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdout: 'ignore' | 'pipe';
}

function workload({ state, envoyServices, say }: Surroundings, { options, command, environment, stdout }: Part): Workload {
  const { name, instance } = options;
  return new Workload({
    options: {
      ...options,
      namespace: 'default',
      serviceAccount: name,
      locality: '',
      upstreams: [],
      dataPlane: envoyServices.includes(name) ? 'envoy' : 'outrigger',
      certificateTtlSeconds: 0,
      otlp: '',
    },
    command,
    environment: { ...process.env, ...environment },
    stateDirectory: state,
    controlPlane: controlPlaneOf(state, undefined, undefined),
    log: (message) => say(`${instance}: ${message}`),
    stdout,
    detached: true,
  });
}
