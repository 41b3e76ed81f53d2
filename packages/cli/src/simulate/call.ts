/** A connection, and what is sent on it. */
export interface Call {
  /** Where the client connects to; '' is an address that belongs to nothing. */
  readonly address: string;
  readonly port: number;
  /** The name that the client resolved; absent: only the address is known. */
  readonly host?: string;
  /** undefined: no TLS. */
  readonly tls: CallTls | undefined;
  /** undefined: bytes that are no HTTP. */
  readonly request: CallRequest | undefined;
}

/** Of the mesh, one in full, or one that is known to be signed by the authorities of a file. */
export type ClientCertificate = 'mesh' | { readonly pem: string } | { readonly signedBy: string };

export interface CallTls {
  /** '' : none asked for. */
  readonly sni: string;
  readonly alpn: readonly string[];
  /** What the client shows if it is asked: nothing, a certificate of the mesh, or one of its own. */
  readonly certificate: 'none' | ClientCertificate;
  /** SPIFFE id of a certificate of the mesh. */
  readonly peer: string;
}

export interface CallRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** Host header. */
  readonly authority: string;
  /** With query. */
  readonly path: string;
  /** name, value, name, value ... */
  readonly headers: readonly string[];
  /** Without TLS; default "http/1.1". "h2c" is HTTP/2. */
  readonly plainProtocol?: 'http/1.1' | 'h2c';
  /** Those of the backend's answer; none: it says nothing but 200. */
  readonly backendHeaders?: readonly string[];
}
