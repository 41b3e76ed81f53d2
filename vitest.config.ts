import { defineConfig } from 'vitest/config';

const peers = ['tests/{grpc,translate,xds}/**/*.test.ts', 'tests/wire/{h2spec,http1-differential,settings}.test.ts', 'tests/mesh/demo.test.ts'];

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      { test: { name: 'unit', include: ['packages/*/src/**/*.test.ts'], testTimeout: 15_000, sequence: { groupOrder: 0 } } },
      // Of a few processes each, or of those that wait more than they work: two at a time.
      { test: { name: 'peers', include: peers, testTimeout: 60_000, hookTimeout: 120_000, sequence: { groupOrder: 1 } } },
      // Whole meshes of processes: one at a time, since they share two cores with their own load.
      {
        test: {
          name: 'mesh',
          include: ['tests/**/*.test.ts'],
          exclude: peers,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
