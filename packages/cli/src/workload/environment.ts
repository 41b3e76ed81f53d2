/**
 * The variables by which an unchanged application sends its plain HTTP through the sidecar: both spellings (curl reads
 * the lower case alone), Node's switch, and the JVM's properties. gRPC libraries read `grpc_proxy`.
 */
export function applicationEnvironment(inherited: NodeJS.ProcessEnv, proxyAddress: string): NodeJS.ProcessEnv {
  const url = `http://${proxyAddress}`;
  // Loopback stays direct: most clients would send it to the proxy too.
  const direct = joined(inherited['NO_PROXY'] ?? inherited['no_proxy'], '127.0.0.1,localhost,::1');
  const [host, port] = proxyAddress.split(':') as [string, string];
  const jvm = `-Dhttp.proxyHost=${host} -Dhttp.proxyPort=${port} -Dhttp.nonProxyHosts=localhost|127.*|[::1]`;
  // A secret of the sidecar's: whoever has it may have the workload's identity.
  const { OUTRIGGER_JOIN_TOKEN: _, ...rest } = inherited;
  return {
    ...rest,
    HTTP_PROXY: url,
    http_proxy: url,
    grpc_proxy: url,
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    JAVA_TOOL_OPTIONS: inherited['JAVA_TOOL_OPTIONS'] ? `${inherited['JAVA_TOOL_OPTIONS']} ${jvm}` : jvm,
  };
}

function joined(before: string | undefined, added: string): string {
  return before ? `${before},${added}` : added;
}
