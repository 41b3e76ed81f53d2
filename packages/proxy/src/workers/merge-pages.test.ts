import { expect, test } from 'vitest';
import { mergeClustersJson, mergeClustersText, mergeMemory, mergeStats } from './merge-pages.ts';

test('/stats: what counts is summed; what is said of each is said once; alive are all or none', () => {
  const page = (requests: number, live: number, pressure: number) => [
    { name: 'http.in.downstream_rq_active', value: requests },
    { name: 'server.live', value: live },
    { name: 'cluster_manager.active_clusters', value: 3 },
    { name: 'cluster.app.membership_total', value: 2 },
    { name: 'overload.outrigger.resource_monitors.memory.pressure', value: pressure },
  ];
  expect(mergeStats([page(2, 1, 10), page(5, 0, 40), [{ name: 'listener.l.downstream_cx_total', value: 1 }]])).toEqual([
    { name: 'http.in.downstream_rq_active', value: 7 },
    { name: 'server.live', value: 0 },
    { name: 'cluster_manager.active_clusters', value: 3 },
    { name: 'cluster.app.membership_total', value: 2 },
    { name: 'overload.outrigger.resource_monitors.memory.pressure', value: 40 },
    { name: 'listener.l.downstream_cx_total', value: 1 },
  ]);
});

test('/clusters in text: counts are summed, endpoints of any worker are there, and one that is ill for one is shown', () => {
  const page = (host: string, total: number, flags: string): string =>
    `app::default_priority::max_connections::1024\napp::${host}::cx_total::${total}\napp::${host}::health_flags::${flags}\n`;
  expect(mergeClustersText([page('[::1]:80', 2, 'healthy'), page('[::1]:80', 3, '/failed_outlier_check'), page('1.1.1.1:80', 4, 'healthy')])).toBe(
    [
      'app::default_priority::max_connections::1024',
      'app::[::1]:80::cx_total::5',
      'app::[::1]:80::health_flags::/failed_outlier_check',
      'app::1.1.1.1:80::cx_total::4',
      'app::1.1.1.1:80::health_flags::healthy',
      '',
    ].join('\n'),
  );
});

test('/clusters in JSON', () => {
  const page = (name: string, ...hosts: (readonly [port: number, total: number])[]) => ({
    cluster_statuses: [
      {
        name,
        host_statuses: hosts.map(([port, total]) => ({
          address: { port },
          stats: [
            { name: 'cx_total', ...(total === 0 ? {} : { value: String(total) }) },
            { type: 'GAUGE', name: 'cx_active' },
          ],
        })),
      },
    ],
  });
  expect(mergeClustersJson([page('b', [1, 2], [2, 0]), page('a', [1, 1]), page('b', [1, 5], [3, 4])])).toEqual({
    cluster_statuses: [...page('a', [1, 1]).cluster_statuses, ...page('b', [1, 7], [2, 0], [3, 4]).cluster_statuses],
  });
});

test('/memory is that of all', () => {
  expect(mergeMemory([{ allocated: '5' }, { allocated: '7', heap_size: '1' }])).toEqual({ allocated: '12', heap_size: '1' });
});
