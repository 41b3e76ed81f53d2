import { expect, it } from 'vitest';
import { filterTypes } from '../filters/filter-types.ts';
import { CLUSTER_SUBJECTS } from './testing/cluster-subjects.ts';
import { HTTP_FILTER_SUBJECTS } from './testing/http-filter-subjects.ts';
import { HTTP_MANAGER_SUBJECTS } from './testing/http-manager-subjects.ts';
import { LISTENER_SUBJECTS } from './testing/listener-subjects.ts';
import { OVERLOAD_SUBJECTS } from './testing/overload-subjects.ts';
import { probe, type Subject } from './testing/probe.ts';
import { ROUTE_SUBJECTS } from './testing/route-subjects.ts';

const SUBJECTS: Readonly<Record<string, Subject>> = {
  ...LISTENER_SUBJECTS,
  ...HTTP_MANAGER_SUBJECTS,
  ...HTTP_FILTER_SUBJECTS,
  ...ROUTE_SUBJECTS,
  ...CLUSTER_SUBJECTS,
  ...OVERLOAD_SUBJECTS,
};

it.each(Object.keys(SUBJECTS))('the right %s is taken as a whole, with nothing to be named', (name) => {
  const { base, compile } = SUBJECTS[name]!;
  expect(compile(base)).toEqual({ errors: [], ignored: [] });
});

/** docs/proxy.md is what comes of feeding each field: `vitest -u` writes it anew, and whoever reads the difference has decided. */
it('each field has an effect, or is named in the admin interface, or is refused, as docs/proxy.md says', async () => {
  const rows = Object.entries(SUBJECTS).map(([name, subject]) => {
    const { effect, named, refused } = probe(subject);
    const cell = (fields: readonly string[]): string => (fields.length === 0 ? '' : fields.map((field) => `\`${field}\``).join(', '));
    return `| \`${subject.schema.typeName}\`${name.includes(',') || name.includes(' ') ? ` (${name})` : ''} | ${cell(effect)} | ${cell(named)} | ${cell(refused)} |`;
  });
  const filters = [...filterTypes.keys()].sort().map((type) => `- \`${type}\``);
  await expect(`${HEAD}\n${filters.join('\n')}\n${TABLE}\n${rows.join('\n')}\n`).toMatchFileSnapshot('../../../../docs/proxy.md');
});

const HEAD = `# What our proxy makes of xDS

Written by a test that feeds each field of these messages to the code that reads it (packages/proxy/src/xds/fields.test.ts); do not edit it by hand.

A field **in effect** does what Envoy's documentation says of it. One that is **named** is accepted without effect, since it only tunes, and the admin interface lists it (\`/config_dump\`, \`without_effect\`).
One that is **refused** is answered with a NACK that names it: it bears on matching, routing or security, so that leaving it out would be another configuration. Fields that hold one of several extensions are in effect for the extensions that are
here, and refused for others; so are single values of enums (HTTP/3 is).

## HTTP filters

In the order of the configuration; \`envoy.extensions.filters.http.router.v3.Router\` is the last. \`on_demand\`, \`dynamic_forward_proxy\` and \`grpc_stats\` are taken, their work is done elsewhere. A filter that is not here is refused unless it \`is_optional\`.
`;
const TABLE = `
## Fields

| message | in effect | named | refused |
| --- | --- | --- | --- |`;
