// The mesh that the control plane is measured with: N services of ten endpoints, each sidecar a user of twenty of them.
export const ENDPOINTS_PER_SERVICE = 10;
export const SERVICES_PER_SIDECAR = 20;
export const PORT = 8080;

export const serviceName = (index) => `svc-${index}`;
export const hostOf = (index) => `${serviceName(index)}.default.svc.cluster.local`;

/** Which services a sidecar calls: spread so that each is called by as many. */
export function servicesOf(sidecar, services) {
  const step = Math.max(1, Math.floor(services / SERVICES_PER_SIDECAR));
  return Array.from({ length: Math.min(services, SERVICES_PER_SIDECAR) }, (_, turn) => (sidecar + turn * step) % services);
}

/** A service with its endpoints, as people write it off Kubernetes. */
export function serviceYaml(index) {
  const name = serviceName(index);
  return [
    `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [${hostOf(index)}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: ${PORT}, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: ${name}}}
`,
    ...Array.from({ length: ENDPOINTS_PER_SERVICE }, (_, endpoint) => endpointYaml(index, endpoint, 1)),
    routeYaml(index, 0),
  ].join('---\n');
}

export function endpointYaml(index, endpoint, weight) {
  const name = serviceName(index);
  const address = `10.${64 + (index >> 8)}.${index & 255}.${endpoint + 1}`;
  return `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ${name}-${endpoint}, namespace: default}
spec: {address: ${address}, weight: ${weight}, serviceAccount: ${name}, labels: {app: ${name}, version: v${endpoint % 2}, security.istio.io/tlsMode: istio}}
`;
}

/** `turn` shows in what the route adds. */
export function routeYaml(index, turn) {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${serviceName(index)}, namespace: default}
spec:
  hosts: [${hostOf(index)}]
  http:
    - name: api
      match: [{uri: {prefix: /api}}]
      headers: {request: {set: {x-turn: "${turn}"}}}
      timeout: 5s
      retries: {attempts: 2}
      route: [{destination: {host: ${hostOf(index)}}}]
    - route: [{destination: {host: ${hostOf(index)}}}]
`;
}
