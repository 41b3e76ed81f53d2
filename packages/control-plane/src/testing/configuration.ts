import type { SettingsDocument } from '@outrigger/resources';
import { type ConfigChange, Configuration } from '../config/configuration.ts';
import { type KeyValue, memoryKeyValue } from '../store/key-value.ts';
import { createRevisionStore } from '../store/revision-store.ts';

/** A configuration in memory, with nothing registered. */
export async function openConfiguration(
  options: {
    readonly keyValue?: KeyValue;
    readonly watchesFolder?: boolean;
    readonly meshConfig?: () => SettingsDocument | undefined;
    readonly onChange?: (change: ConfigChange) => void;
  } = {},
): Promise<Configuration> {
  const { keyValue = memoryKeyValue(), watchesFolder = false, meshConfig = () => undefined, onChange = () => {} } = options;
  return Configuration.open({
    store: createRevisionStore(keyValue, { now: () => 0 }),
    rootNamespace: 'istio-system',
    clusterDomain: 'cluster.local',
    world: () => ({ services: [], instances: [] }),
    meshConfig,
    watchesFolder,
    onChange,
  });
}
