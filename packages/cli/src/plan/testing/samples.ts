import type { RequestSample, SampleWindow } from '@outrigger/control-plane/api';

/** A GET of orders, as the sidecar of its caller saw it. */
export function sample(path: string, more: Partial<RequestSample> = {}): RequestSample {
  return {
    atMs: 0,
    method: 'GET',
    scheme: 'http',
    authority: 'orders:8080',
    path,
    headers: [],
    listener: 'http_proxy',
    address: '127.0.0.1:15001',
    remote: '127.0.0.1',
    tls: false,
    sni: '',
    alpn: '',
    peer: '',
    status: 200,
    flags: 0,
    route: 'default',
    cluster: '',
    ...more,
  };
}

/** Of web, which calls: all that was seen, unless `more` says otherwise. */
export function window(samples: readonly RequestSample[], more: Partial<SampleWindow> = {}): SampleWindow {
  return { node: 'web.default', direction: 'outbound', startMs: 0, endMs: 5_000, seen: samples.length, samples: [...samples], ...more };
}
