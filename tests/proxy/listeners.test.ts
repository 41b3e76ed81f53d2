import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterJson, listenerJson, typed } from '../../packages/proxy/src/testing/messages.ts';
import { ask } from '../../packages/proxy/src/testing/test-proxy.ts';
import { TestAuthority } from '../../packages/proxy/src/tls/testing/certificates.ts';
import { freePorts } from '../harness/ports.ts';
import { Wire } from '../harness/wire.ts';
import { until } from '../xds/envoy.ts';
import { DataPlane, planes } from './data-plane.ts';

const EXTENSION = 'envoy.extensions.filters';
const listenerFilter = (name: string, type: string, fields: JsonObject = {}): JsonObject => ({
  name,
  typedConfig: typed(`${EXTENSION}.listener.${type}`, fields),
});
const TLS_INSPECTOR = listenerFilter('tls', 'tls_inspector.v3.TlsInspector');
const HTTP_INSPECTOR = listenerFilter('http', 'http_inspector.v3.HttpInspector');
const proxyProtocol = (fields: JsonObject = {}): JsonObject => listenerFilter('proxy', 'proxy_protocol.v3.ProxyProtocol', fields);
const networkFilter = (name: string, type: string, fields: JsonObject = {}): JsonObject => ({
  name,
  typedConfig: typed(`${EXTENSION}.network.${type}`, fields),
});
const tcpTo = (cluster: string, fields: JsonObject = {}): JsonObject =>
  networkFilter('tcp', 'tcp_proxy.v3.TcpProxy', { statPrefix: 'tcp', cluster, ...fields });
const tcpListener = (filters: JsonObject[], fields: JsonObject = {}): JsonObject => ({ filterChains: [{ filters }], ...fields });

const REMOTE = '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS%';
/** Answers with the text, and with what is known of the connection. */
const saying = (text: string, fields: JsonObject = {}): JsonObject => {
  const { name: _name, ...listener } = listenerJson('web', {
    routes: [
      {
        match: { prefix: '/' },
        directResponse: { status: 200, body: { inlineString: text } },
        responseHeadersToAdd: [{ header: { key: 'x-connection', value: REMOTE } }],
      },
    ],
    fields,
  });
  return listener;
};
const chainSaying = (text: string, match: JsonObject): JsonObject => {
  const [chain] = saying(text)['filterChains'] as JsonObject[];
  return { ...chain!, filterChainMatch: match };
};

const GREETING = '220 mail ready\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const LOCALHOST_4 = [127, 0, 0, 1];

/** A line of text from each side, the server's first. */
function mailServer(name: string): net.Server {
  return net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(GREETING);
    socket.on('data', (chunk) => socket.write(`${name}: ${chunk.toString('latin1')}`));
  });
}

/** A chain for the client 127.0.0.2, and one for the others. */
const chains = (statPrefix: string): JsonObject => ({
  filterChains: [
    { name: 'first', filterChainMatch: { sourcePrefixRanges: [{ addressPrefix: '127.0.0.2', prefixLen: 32 }] }, filters: [tcpTo('mail')] },
    { name: 'rest', filters: [tcpTo('mail', { statPrefix })] },
  ],
});

describe.each(planes)('listeners of %s', (plane) => {
  let proxy: DataPlane;
  let folder: string;
  const servers: net.Server[] = [];
  let secureEcho: tls.Server;
  let extraPort = 0;
  let unboundPort = 0;
  let portOf: (name: string) => number;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'listeners-'));
    [extraPort = 0, unboundPort = 0] = await freePorts(2);
    const { chainPem, keyPem } = new TestAuthority().issue({ dns: ['secret.example'] });
    secureEcho = tls.createServer({ cert: chainPem, key: keyPem }, (socket) => socket.pipe(socket).on('error', () => {}));
    // Says what it has heard, in hex.
    const recorder = net.createServer((socket) => socket.on('error', () => {}).on('data', (chunk) => socket.write(chunk.toString('hex'))));
    servers.push(mailServer('mail'), secureEcho, recorder);
    for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const [mail, secure, recording] = servers.map((server) => `127.0.0.1:${(server.address() as net.AddressInfo).port}`);
    const plainOnly = { filterChainMatch: { transportProtocol: 'raw_buffer' } };
    const rbac = (action: string, addressPrefix: string): JsonObject =>
      networkFilter('rbac', 'rbac.v3.RBAC', {
        statPrefix: 'r',
        rules: { action, policies: { p: { permissions: [{ any: true }], principals: [{ remoteIp: { addressPrefix, prefixLen: 32 } }] } } },
      });
    const behind = (filters: JsonObject[], text: string): JsonObject => {
      const listener = saying(text);
      const [chain] = listener['filterChains'] as JsonObject[];
      return { ...listener, filterChains: [{ ...chain!, filters: [...filters, ...(chain!['filters'] as JsonObject[])] }] };
    };
    const log = (path: string): JsonObject[] => [
      {
        name: 'file',
        typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
          path,
          logFormat: { textFormatSource: { inlineString: '%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%|%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\n' } },
        }),
      },
    ];
    const proxied = (passThroughTlvs: JsonObject): JsonObject =>
      clusterJson('proxied', {
        endpoints: [recording!],
        fields: {
          transportSocket: {
            name: 'proxy',
            typedConfig: typed('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
              config: { version: 'V2', passThroughTlvs },
              transportSocket: { name: 'raw', typedConfig: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') },
            }),
          },
        },
      });
    const passing = (cluster: string, passThroughTlvs: JsonObject): JsonObject =>
      tcpListener([tcpTo(cluster)], { listenerFilters: [proxyProtocol({ passThroughTlvs })] });
    proxy = await DataPlane.start(plane, {
      clusters: {
        'tlvs-all': { ...proxied({ matchType: 'INCLUDE_ALL' }), name: 'tlvs-all' },
        'tlvs-some': { ...proxied({ matchType: 'INCLUDE', tlvType: [0xea] }), name: 'tlvs-some' },
        mail: clusterJson('mail', { endpoints: [mail!] }),
        'secret.example': clusterJson('secret.example', { endpoints: [secure!] }),
      },
      listeners: {
        'all-to-all': passing('tlvs-all', { matchType: 'INCLUDE_ALL' }),
        'all-to-some': passing('tlvs-some', { matchType: 'INCLUDE_ALL' }),
        'some-to-all': passing('tlvs-all', { matchType: 'INCLUDE', tlvType: [4] }),
        balanced: saying('ok', { listenerFilters: [proxyProtocol()] }),
        'balanced-or-not': saying('ok', { listenerFilters: [proxyProtocol({ allowRequestsWithoutProxyProtocol: true })] }),
        'balanced-v1': saying('ok', { listenerFilters: [proxyProtocol({ disallowedVersions: ['V2'] })] }),
        source: {
          ...saying(''),
          listenerFilters: [proxyProtocol({ allowRequestsWithoutProxyProtocol: true })],
          filterChains: [chainSaying('inside', { sourceType: 'SAME_IP_OR_LOOPBACK' }), chainSaying('outside', { sourceType: 'EXTERNAL' })],
        },
        inspected: {
          listenerFilters: [TLS_INSPECTOR, HTTP_INSPECTOR],
          listenerFiltersTimeout: '0.3s',
          continueOnListenerFiltersTimeout: true,
          filterChains: [
            chainSaying('one', { applicationProtocols: ['http/1.0', 'http/1.1'] }),
            chainSaying('two', { applicationProtocols: ['h2c'] }),
            { filters: [tcpTo('mail')] },
          ],
        },
        'server-first': {
          listenerFilters: [TLS_INSPECTOR],
          listenerFiltersTimeout: '0.3s',
          continueOnListenerFiltersTimeout: true,
          filterChains: [{ ...plainOnly, filters: [tcpTo('mail')] }],
        },
        'never-silent': { listenerFilters: [TLS_INSPECTOR], listenerFiltersTimeout: '0.3s', filterChains: [{ ...plainOnly, filters: [tcpTo('mail')] }] },
        passthrough: {
          listenerFilters: [TLS_INSPECTOR],
          filterChains: [{ filterChainMatch: { serverNames: ['secret.example'] }, filters: [tcpTo('secret.example')] }],
        },
        'by-sni': { listenerFilters: [TLS_INSPECTOR], filterChains: [{ filters: [networkFilter('sni', 'sni_cluster.v3.SniCluster'), tcpTo('mail')] }] },
        guarded: behind([rbac('DENY', '127.0.0.1')], 'in'),
        open: behind([rbac('ALLOW', '127.0.0.1')], 'in'),
        limited: tcpListener([networkFilter('limit', 'connection_limit.v3.ConnectionLimit', { statPrefix: 'l', maxConnections: 2 }), tcpTo('mail')]),
        slowly: tcpListener([
          networkFilter('rate', 'local_ratelimit.v3.LocalRateLimit', {
            statPrefix: 'l',
            tokenBucket: { maxTokens: 2, tokensPerFill: 1, fillInterval: '3600s' },
          }),
          tcpTo('mail'),
        ]),
        several: saying('several', { additionalAddresses: [{ address: { socketAddress: { address: '127.0.0.1', portValue: extraPort } } }] }),
        alive: tcpListener([tcpTo('mail')], {
          socketOptions: [
            { level: 1, name: 9, intValue: 1 },
            { level: 6, name: 4, intValue: 777 },
          ],
        }),
        chains: chains('before'),
        logged: {
          ...saying('logged'),
          listenerFilters: [TLS_INSPECTOR],
          filterChains: [chainSaying('logged', { transportProtocol: 'raw_buffer' })],
          accessLog: log(join(folder, 'access.log')),
        },
      },
    });
    portOf = (name) => proxy.port(name);
  }, 60_000);

  afterAll(async () => {
    await proxy?.stop();
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (name: string): Promise<Wire> => Wire.open(`127.0.0.1:${portOf(name)}`);
  /** What comes for these bytes, up to the end. */
  async function answer(name: string, bytes: string | Buffer): Promise<string> {
    const wire = await open(name);
    wire.send(typeof bytes === 'string' ? bytes : bytes.toString('latin1'));
    // An Envoy closes a second after its answer.
    const [text] = await wire.expect(/^HTTP[\s\S]*\r\n\r\n\w+$/).catch(() => [wire.received]);
    wire.close();
    return text!;
  }
  const connection = (text: string): string => /x-connection: (.*)\r\n/.exec(text)?.[1] ?? text.split('\r\n')[0]!;
  const header = (family: number, body: number[], command = 0x21): Buffer =>
    Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, command, family, body.length >> 8, body.length & 255, ...body]);
  const V4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

  test.each<[string, string | Buffer, string]>([
    ['version 1', 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n', '192.0.2.1:56324 127.0.0.1 198.51.100.1:443'],
    ['version 1, IPv6', 'PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n', '[2001:db8::1]:56324 127.0.0.1 [2001:db8::2]:443'],
    ['version 2', header(0x11, V4), '192.0.2.1:56324 127.0.0.1 198.51.100.1:443'],
    ['version 2 with a TLV', header(0x11, [...V4, 4, 0, 1, 9]), '192.0.2.1:56324 127.0.0.1 198.51.100.1:443'],
  ])('the PROXY protocol tells who connected: %s', async (_name, head, expected) => {
    for (const name of ['balanced', 'balanced-or-not']) {
      expect(connection(await answer(name, Buffer.concat([Buffer.from(head as string, 'latin1'), Buffer.from(GET)])))).toBe(expected);
    }
  });

  test.each<[string, string | Buffer]>([
    ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
    ['LOCAL', header(0x11, V4, 0x20)],
  ])('the PROXY protocol of a balancer’s own connection: %s', async (_name, head) => {
    expect(connection(await answer('balanced', Buffer.concat([Buffer.from(head as string, 'latin1'), Buffer.from(GET)])))).toMatch(
      new RegExp(`^127\\.0\\.0\\.1:\\d+ 127\\.0\\.0\\.1 127\\.0\\.0\\.1:${portOf('balanced')}$`),
    );
  });

  test.each<[string, string | Buffer]>([
    ['none', ''],
    ['a port beyond 65535', 'PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n'],
    ['a name', 'PROXY TCP4 localhost 198.51.100.1 1 443\r\n'],
    ['a command that is none', header(0x11, V4, 0x22)],
    ['a Unix socket', header(0x31, Array<number>(216).fill(0))],
    ['too short', header(0x11, LOCALHOST_4)],
  ])('a PROXY header that is none ends the connection: %s', async (_name, head) => {
    expect(await answer('balanced', Buffer.concat([Buffer.from(head as string, 'latin1'), Buffer.from(GET)]))).toBe('');
  });

  test.each([
    ['all-to-all', '0400020909ea000105'],
    ['all-to-some', 'ea000105'],
    ['some-to-all', '0400020909'],
  ])('TLVs of a PROXY header go on to an upstream: %s', async (name, tlvs) => {
    const wire = await open(name);
    wire.send(Buffer.concat([header(0x11, [...V4, 4, 0, 2, 9, 9, 0xea, 0, 1, 5]), Buffer.from('hello')]).toString('latin1'));
    const length = (12 + tlvs.length / 2).toString(16).padStart(4, '0');
    await wire.expect(new RegExp(`^0d0a0d0a000d0a515549540a2111${length}c0000201c6336401dc0401bb${tlvs}68656c6c6f$`));
    wire.close();
  });

  test('a PROXY header is taken only where it is expected, and of the versions that are', async () => {
    expect(connection(await answer('balanced-or-not', GET))).toContain('127.0.0.1 ');
    expect(await answer('balanced-v1', Buffer.concat([header(0x11, V4), Buffer.from(GET)]))).toBe('');
    expect(connection(await answer('balanced-v1', `PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n${GET}`))).toContain('192.0.2.1:1 ');
  });

  test('filter chains by where a client is', async () => {
    expect(await answer('source', GET)).toContain('inside');
    expect(await answer('source', `PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n${GET}`)).toContain('outside');
    expect(await answer('source', `PROXY TCP4 198.51.100.1 198.51.100.1 1 2\r\n${GET}`)).toContain('inside');
  });

  test('filter chains by what plain HTTP shows', async () => {
    expect((await ask(`127.0.0.1:${portOf('inspected')}`)).body).toBe('one');
    const two = await open('inspected');
    two.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00');
    // SETTINGS of an HTTP/2 server.
    await two.expect(/^\x00[\s\S]{2}\x04/);
    two.close();
    const mail = await open('inspected');
    mail.send('\x01\x02\x03');
    await mail.expect(/mail: \x01\x02\x03/);
    mail.close();
  });

  test('a server that speaks first is heard by a client that waits', async () => {
    for (const name of ['server-first', 'inspected']) {
      const wire = await open(name);
      await wire.expect(/^220 mail ready\r\n$/);
      wire.send('HELO');
      await wire.expect(/^mail: HELO$/);
      wire.close();
    }
  });

  test('where silence is no answer a client that waits hears nothing', async () => {
    expect(await answer('never-silent', '')).toBe('');
    const wire = await open('never-silent');
    wire.send('HELO there');
    await wire.expect(/^220 mail ready\r\n/);
    wire.close();
  });

  test.each(['passthrough', 'by-sni'])('TLS goes through by its server name: %s', async (name) => {
    const socket = tls.connect({ host: '127.0.0.1', port: portOf(name), servername: 'secret.example', rejectUnauthorized: false });
    socket.write('hidden');
    const [chunk] = (await new Promise<Buffer[]>((resolve, reject) => socket.on('data', (...given: Buffer[]) => resolve(given)).on('error', reject))) as [
      Buffer,
    ];
    expect(chunk.toString()).toBe('hidden');
    expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:secret.example');
    socket.destroy();
  });

  test('TLS of a name that no chain has is closed', async () => {
    const wrong = tls.connect({ host: '127.0.0.1', port: portOf('passthrough'), servername: 'other.example', rejectUnauthorized: false });
    await new Promise((resolve) => wrong.on('error', resolve).on('close', resolve));
    expect(wrong.getProtocol()).not.toBe('TLSv1.3');
  });

  test('a network policy before the connection manager', async () => {
    expect(await answer('guarded', GET)).toBe('');
    expect(await answer('open', GET)).toContain('200 OK');
  });

  test('a limit of connections, until one of them ends', async () => {
    const [one, two] = await Promise.all([open('limited'), open('limited')]);
    await Promise.all([one.expect(/220/), two.expect(/220/)]);
    expect(await (await open('limited')).rest()).toBe('');
    one.close();
    await until('there is room again', async () => {
      const wire = await open('limited');
      const heard = await wire.expect(/220/).then(
        () => true,
        () => undefined,
      );
      wire.close();
      return heard;
    });
    two.close();
  });

  test('a rate of connections', async () => {
    const wires = [await open('slowly'), await open('slowly')];
    for (const wire of wires) await wire.expect(/220/);
    expect(await (await open('slowly')).rest()).toBe('');
    for (const wire of wires) wire.close();
  });

  test('several addresses', async () => {
    expect((await ask(`127.0.0.1:${portOf('several')}`)).body).toBe('several');
    expect((await ask(`127.0.0.1:${extraPort}`)).body).toBe('several');
    await proxy.apply({
      listeners: { several: saying('changed', { additionalAddresses: [{ address: { socketAddress: { address: '127.0.0.1', portValue: extraPort } } }] }) },
    });
    await until('both have changed', async () =>
      (await ask(`127.0.0.1:${portOf('several')}`)).body === 'changed' && (await ask(`127.0.0.1:${extraPort}`)).body === 'changed' ? true : undefined,
    );
  });

  test('a change of one filter chain ends its connections, and leaves those of another alone', async () => {
    const connect = async (localAddress: string): Promise<net.Socket> => {
      const socket = net.connect({ port: portOf('chains'), host: '127.0.0.1', localAddress });
      socket.on('error', () => {});
      await new Promise((resolve) => socket.once('data', resolve));
      return socket;
    };
    const [kept, ended] = [await connect('127.0.0.2'), await connect('127.0.0.1')];
    await proxy.apply({ listeners: { chains: chains('after') } });
    await new Promise((resolve) => ended.once('close', resolve));
    const heard = new Promise((resolve) => kept.once('data', resolve));
    kept.write('still here');
    expect(String(await heard)).toBe('mail: still here');
    kept.destroy();
  });

  test('one that is not to be bound is not', async () => {
    const address = { socketAddress: { address: '127.0.0.1', portValue: unboundPort } };
    await proxy.apply({ listeners: { unbound: saying('no', { address, bindToPort: false }), marker: saying('marker') } });
    await proxy.listening('marker');
    await expect(Wire.open(`127.0.0.1:${unboundPort}`)).rejects.toThrow('ECONNREFUSED');
    expect(proxy.refusals.filter((text) => text.includes('unbound'))).toEqual([]);
  });

  test('socket options hold for accepted connections', async () => {
    const wire = await open('alive');
    await wire.expect(/220/);
    // proc(5): the kernel's timer of the socket (2: keep-alive) and when it is due, in hundredths of a second.
    const port = portOf('alive').toString(16).toUpperCase().padStart(4, '0');
    const accepted = new RegExp(`^ *\\d+: 0100007F:${port} \\S+ 01 \\S+ (\\d\\d):(\\S+)`, 'm').exec(readFileSync('/proc/net/tcp', 'utf8'));
    expect(accepted?.[1]).toBe('02');
    expect(Number.parseInt(accepted![2]!, 16)).toBeGreaterThan(60_000);
    wire.close();
  });

  test('the access log of a listener has each connection, also one that no chain wanted', async () => {
    expect((await ask(`127.0.0.1:${portOf('logged')}`, { headers: { connection: 'close' } })).body).toBe('logged');
    const wire = tls.connect({ host: '127.0.0.1', port: portOf('logged'), rejectUnauthorized: false });
    await new Promise((resolve) => wire.on('error', resolve).on('close', resolve));
    const path = join(folder, 'access.log');
    await until('both are there', () => (existsSync(path) && readFileSync(path, 'utf8').split('\n').length >= 3 ? true : undefined));
    expect(readFileSync(path, 'utf8').split('\n').sort()).toEqual(['', '- -|127.0.0.1', 'NR filter_chain_not_found|127.0.0.1']);
  });

  test.runIf(plane === 'outrigger')('an address that is in use is taken as soon as it is free', async () => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as net.AddressInfo;
    const before = proxy.refusals.length;
    await proxy.apply({ listeners: { blocked: saying('free', { address: { socketAddress: { address: '127.0.0.1', portValue: port } } }) } });
    await until('a refusal', () => (proxy.refusals.length > before ? true : undefined));
    expect(proxy.refusals.at(-1)).toContain('in use by another process');
    blocker.close();
    await until('it listens', async () => ((await ask(`127.0.0.1:${port}`)).body === 'free' ? true : undefined));
  });

  test('what is not known is refused', async () => {
    const before = proxy.refusals.length;
    await proxy.apply({
      listeners: {
        bad: { ...saying('x'), filterChains: [{ filters: [networkFilter('x', 'connection_limit.v3.ConnectionLimit', { statPrefix: 'l' }), tcpTo('mail')] }] },
      },
    });
    await until('a refusal', () => (proxy.refusals.length > before ? true : undefined));
    await proxy.apply({ listeners: { bad: null } });
  });
});
