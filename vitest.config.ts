import { defineConfig } from 'vitest/config';

/** Whole meshes under a load of their own, or what counts milliseconds: one at a time, since they share two cores with it. */
const alone = [
  'tests/mesh/{behaviours,drills,node,restart,soak,steady}.test.ts',
  'tests/proxy/{balancing,health-checks,memory-limit,node-mode,outlier,overload,pools,restart,retries,timeouts,workers}.test.ts',
  'tests/wire/{floods,fuzz}.test.ts',
  'tests/xds/grpc.test.ts',
];

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['packages/*/src/**/*.test.ts'], testTimeout: 15_000, sequence: { groupOrder: 0 } } },
      // Those that wait more than they work: two at a time.
      {
        test: {
          name: 'peers',
          include: ['tests/**/*.test.ts'],
          exclude: alone,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      { test: { name: 'mesh', include: alone, testTimeout: 60_000, hookTimeout: 120_000, maxWorkers: 1, sequence: { groupOrder: 2 } } },
    ],
  },
});
