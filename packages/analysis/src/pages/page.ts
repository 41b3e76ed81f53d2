/** What the page of a code says; name, level and message come from the code itself. */
export interface Page {
  /** What is wrong with it: what happens to whom. */
  readonly why: string;
  readonly instead: string;
  /** undefined: files cannot show it; `why` says who can. */
  readonly example: Example | undefined;
}

export interface Example {
  /** YAML of which the code is told. */
  readonly wrong: string;
  /** The same, as it is right. */
  readonly right: string;
  /** Beside the wrong one. */
  readonly meshNetworks?: string;
  readonly rightMeshNetworks?: string;
  /** Of those that most meshes have on purpose. */
  readonly allCodes?: true;
}

// They stand in examples for a certificate and its key in base64, which a page would only be long by.
export const CERTIFICATE = 'LS0tLS1CRUdJTiBDRVJU...';
export const PRIVATE_KEY = 'LS0tLS1CRUdJTiBQUklW...';

export function page(why: string, instead: string, wrong: string, right: string, more: Omit<Example, 'wrong' | 'right'> = {}): Page {
  return { why, instead, example: { wrong: wrong.trim(), right: right.trim(), ...more } };
}

export function clusterPage(why: string, instead: string): Page {
  return { why, instead, example: undefined };
}
