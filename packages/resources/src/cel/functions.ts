import { type CelFunc, CelScalar, celFunc, celMethod, isCelMap, mapType } from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import { ipFamily } from '../address/ip.ts';
import { parseRequestUrl } from '../address/url.ts';
import { labelFaults, labelValueFaults, subdomainFaults } from '../schema/metadata.ts';

const { BOOL, DYN, STRING } = CelScalar;

// The values of Kubernetes' own CEL types (URL, Format) are maps here, told apart by this key: rules only ever call their methods.
const typeKey = '@type';
const opaque = mapType(STRING, DYN);

function opaqueValue(value: unknown, type: string, method: string): { get(key: string): unknown } {
  if (isCelMap(value) && value.get(typeKey) === type) return value;
  throw new Error(`no such overload: ${method}`);
}

const urlParts: Readonly<Record<string, string>> = {
  getScheme: 'scheme',
  getHost: 'host',
  getHostname: 'hostname',
  getPort: 'port',
  getEscapedPath: 'path',
};

const urls: CelFunc[] = [
  celFunc('isURL', [STRING], BOOL, (text) => parseRequestUrl(text) !== undefined),
  celFunc('url', [STRING], opaque, (text) => {
    const url = parseRequestUrl(text);
    if (url === undefined) throw new Error(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`);
    return new Map(Object.entries({ [typeKey]: 'url', ...url }));
  }),
  ...Object.entries(urlParts).map(([method, part]) =>
    celMethod(method, opaque, [], STRING, function () {
      return opaqueValue(this, 'url', method).get(part) as string;
    }),
  ),
];

const addresses: CelFunc[] = [celFunc('isIP', [STRING], BOOL, (text) => ipFamily(text) !== undefined)];

const formats: Readonly<Record<string, (text: string) => string[]>> = {
  dns1123Label: labelFaults,
  dns1123Subdomain: subdomainFaults,
  labelValue: labelValueFaults,
};

/** `validate` gives what is wrong, or null in place of Kubernetes' empty optional. */
const namedFormats: CelFunc[] = [
  ...Object.keys(formats).map((name) => celFunc(`format.${name}`, [], opaque, () => new Map([[typeKey, `format.${name}`]]))),
  celMethod('validate', opaque, [STRING], DYN, function (text) {
    const name = String((this as { get(key: string): unknown }).get(typeKey)).slice('format.'.length);
    const faults = formats[name]?.(text);
    if (faults === undefined) throw new Error('no such overload: validate');
    return faults.length === 0 ? null : faults;
  }),
  celMethod('hasValue', DYN, [], BOOL, function () {
    return this !== null;
  }),
];

/** What Kubernetes adds to CEL, as far as the vendored CRDs' rules call it; a test compiles every one of them. */
export const kubernetesFunctions: CelFunc[] = [...strings, ...urls, ...addresses, ...namedFormats];
