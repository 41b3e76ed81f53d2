import type { Command, Option } from 'commander';

/** What commands of several files have alike. */
export interface CommandParts {
  readonly output: () => Option;
  readonly example: (command: Command, text: string) => Command;
  /** State directory of the mesh that runs. */
  readonly mesh: () => string;
}

/** Of an option that may be given again. */
export function several(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Options that several commands have. */
export const WAIT = ['--wait [seconds]', 'wait until every affected proxy has acknowledged'] as const;
export const NAMESPACE_OF_FILES = ['-n, --namespace <name>', 'namespace of resources that name none', 'default'] as const;
export const MESH_CONFIG = ['--mesh-config <file>', "the mesh's settings (MeshConfig)"] as const;
export const OUTBOUND_POLICY = ['--outbound-policy <policy>', 'names outside the mesh: ALLOW_ANY (the default) or REGISTRY_ONLY'] as const;
