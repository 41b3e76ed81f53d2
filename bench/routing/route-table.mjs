// node bench/routing/route-table.mjs: the cost of finding a route, by the number of routes.
import { fromJson } from '@bufbuild/protobuf';
import { compileRouteConfiguration, RequestHead } from '@outrigger/proxy/pure';
import { RouteConfigurationSchema } from '@outrigger/xds/protos/envoy/config/route/v3/route';
import { measure } from './measure.mjs';

function table(count, kind) {
  const routes = Array.from({ length: count }, (_, i) => ({ match: { [kind]: `/api/v1/service-${i}/items` }, route: { cluster: `c${i % 50}` } }));
  routes.push({ match: { prefix: '/' }, route: { cluster: 'rest' } });
  const result = compileRouteConfiguration(
    fromJson(RouteConfigurationSchema, { name: 'bench', virtualHosts: [{ name: 'v', domains: ['a', '*.example.com'], routes }] }),
  );
  if (!result.ok) throw new Error(JSON.stringify(result.errors[0]));
  return result.value;
}

function hosts(count) {
  const virtualHosts = Array.from({ length: count }, (_, i) => ({
    name: `s${i}`,
    domains: [`s${i}`, `s${i}:8080`, `s${i}.default`, `s${i}.default.svc.cluster.local`],
    routes: [{ match: { prefix: '/' }, route: { cluster: `c${i}` } }],
  }));
  const result = compileRouteConfiguration(fromJson(RouteConfigurationSchema, { name: 'bench', virtualHosts }));
  if (!result.ok) throw new Error(JSON.stringify(result.errors[0]));
  return result.value;
}

function head(authority, path) {
  return Object.assign(new RequestHead(), { method: 'GET', authority, path, headers: ['user-agent', 'bench', 'accept', '*/*'] });
}

const ROUTES = [10, 100, 1000, 10_000];
for (const kind of ['path', 'prefix', 'pathSeparatedPrefix']) {
  const results = ROUTES.map((count) => {
    const routes = table(count, kind);
    // Requests for the last ten routes of the table, and one for the rest.
    const heads = Array.from({ length: 10 }, (_, i) => head('a', `/api/v1/service-${count - 1 - i}/items?page=2`));
    heads.push(head('a', '/other/place'));
    return measure(`${kind}, ${count} routes`, (i) => routes.match(heads[i % heads.length], i));
  });
  console.log(`${''.padEnd(30)} ratio ${(results.at(-1) / results[0]).toFixed(2)}\n`);
}
for (const count of [10, 5000]) {
  const routes = hosts(count);
  const heads = Array.from({ length: 10 }, (_, i) => head(`s${count - 1 - i}:8080`, '/orders'));
  measure(`virtual host, ${count} hosts`, (i) => routes.match(heads[i % heads.length], i));
}
