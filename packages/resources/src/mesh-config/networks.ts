import { ipFamily } from '../address/ip.ts';
import { field, isJsonObject, list, text } from '../json.ts';
import type { SettingsDocument } from '../parse.ts';
import type { Problem } from '../problem.ts';
import { anyText, type Check, type Fault, listOf, mapOf, objectOf } from './check.ts';

const port: Check = (value) =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 65_535
    ? []
    : [{ at: '', message: `${JSON.stringify(value).slice(0, 80)} is no port`, next: 'write one from 1 to 65535' }];

const block: Check = (value) => {
  const [address = '', length = ''] = typeof value === 'string' ? value.split('/') : [];
  const family = ipFamily(address);
  return family !== undefined && /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128)
    ? []
    : [{ at: '', message: `${JSON.stringify(value).slice(0, 80)} is no block of addresses`, next: 'write one like 10.1.0.0/16' }];
};

const checkAll = objectOf({
  networks: mapOf(
    objectOf({
      endpoints: listOf(objectOf({ fromCidr: block, fromRegistry: anyText })),
      gateways: listOf(objectOf({ address: anyText, registryServiceName: anyText, port, locality: anyText })),
    }),
  ),
});

/** What is wrong with MeshNetworks. An 'Error' refuses all of it; what is left out has a 'Warning'. */
export function meshNetworksProblems(config: SettingsDocument): readonly Problem[] {
  return [...checkAll(config.value), ...leftOut(config)].map(({ at, message, next, unknown }): Problem => {
    const path = at.replace(/^\./, '');
    return {
      code: 'INVALID',
      level: unknown === true ? 'Warning' : 'Error',
      message: `MeshNetworks: ${path === '' ? '' : `${path}: `}${message}`,
      file: config.file,
      line: config.lineOf(path),
      next,
      field: path,
    };
  });
}

/** What Istio has and is not here. */
function leftOut(config: SettingsDocument): Fault[] {
  const networks = field(config.value, 'networks');
  return Object.entries(isJsonObject(networks) ? networks : {}).flatMap(([name, network]) => [
    ...list(field(network, 'endpoints')).flatMap((one, index): Fault[] =>
      field(one, 'fromRegistry') === undefined
        ? []
        : [
            {
              at: `.networks.${name}.endpoints[${index}].fromRegistry`,
              message: 'there is one registry: nothing is of the network by this',
              next: 'write fromCidr, or label workloads topology.istio.io/network',
              unknown: true,
            },
          ],
    ),
    ...list(field(network, 'gateways')).flatMap((gateway, index): Fault[] => {
      const address = text(field(gateway, 'address'));
      return address === '' || ipFamily(address) !== undefined
        ? []
        : [
            {
              at: `.networks.${name}.gateways[${index}].address`,
              message: `${address} is a name, which is not resolved: the gateway is left out`,
              next: 'write its IP address',
              unknown: true,
            },
          ];
    }),
  ]);
}
