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
  {
    code: 'RIG0104',
    name: 'TimeoutBeyondCaller',
    level: 'Warning',
    template: '%s may take %s, and %s is given up after %s: what comes later nobody reads. Write %s or less, or let the caller wait longer.',
  },
  {
    code: 'RIG0105',
    name: 'RetriesMultiply',
    level: 'Warning',
    template:
      'One request may become %s calls of %s (%s), since each try of a caller makes all tries below it. Let one of them try again, the one that is nearest to what fails: %s, and write attempts: 0 at the others.',
  },
  {
    code: 'RIG0106',
    name: 'RouteDenied',
    level: 'Warning',
    template: 'No request of this rule is answered by %s: %s. Allow its path and method there, or send it elsewhere.',
  },
  {
    code: 'RIG0107',
    name: 'MtlsMismatch',
    level: 'Error',
    template:
      'Calls are made with TLS mode %s, and the workloads of %s refuse that: %s says %s. Write mode: %s, or leave tls out, so that each side does what the other takes.',
  },
  {
    code: 'RIG0108',
    name: 'CostlyRegex',
    level: 'Warning',
    template:
      'This regular expression has about %s steps, each of which is tried at every character of what it is matched with. Write an exact text, a prefix, or a repetition that is not counted (.* for .{0,1000}).',
  },
  {
    code: 'RIG0109',
    name: 'CertificateExpiresSoon',
    level: 'Warning',
    template: 'The certificate that %s shows expires in %s days, on %s. Renew it, and look at why that has not happened by itself.',
  },
  {
    code: 'RIG0110',
    name: 'RegexNotNeeded',
    level: 'Info',
    template: 'This regular expression matches what %s: %s matches, which is looked up in a table and not tried one by one.',
  },
  {
    code: 'RIG0111',
    name: 'DelegateWithoutEffect',
    level: 'Warning',
    template: 'What this rule matches is handed on to VirtualService %s, which answers nothing of it: %s.',
  },
  {
    code: 'RIG0112',
    name: 'ExportToNowhere',
    level: 'Warning',
    template: 'exportTo names namespace %q, which is not there: %s. Write the name of a namespace, "." or "*".',
  },
  {
    code: 'RIG0113',
    name: 'KeyDoesNotFit',
    level: 'Warning',
    template:
      'The private key beside the certificate that %s shows does not fit: %s. TLS to its hosts fails; put the key that the certificate was made with into the secret.',
  },
  {
    code: 'RIG0114',
    name: 'ApiReferenceNotFound',
    level: 'Warning',
    template: '%s: %s. Write the name of one that is there, or add what is missing.',
  },
  {
    code: 'RIG0115',
    name: 'SettingWithoutEffect',
    level: 'Info',
    template: '%s of MeshConfig has no effect: %s.',
  },
];
