/** Codes that Istio's analysis does not have, in the shape of its own. */
export const ownTemplates: readonly { readonly code: string; readonly name: string; readonly level: string; readonly template: string }[] = [
  {
    code: 'RIG0101',
    name: 'ShadowedRoute',
    level: 'Warning',
    template: 'Rule %s never takes a request: whatever it matches is taken before it by %s. Put it before, or narrow what takes its requests.',
  },
  {
    code: 'RIG0102',
    name: 'WeightWithoutEndpoints',
    level: 'Warning',
    template: '%s%% of the requests of this rule go to %s, where nothing runs: they are answered 503.',
  },
  {
    code: 'RIG0103',
    name: 'HostOwnedTwice',
    level: 'Warning',
    template:
      'Host %q is declared by %s too: whose endpoints a caller gets depends on which is older. Let one of them export it, or give the other a host of its own.',
  },
];
