import { once } from 'node:events';
import net from 'node:net';
import type { ClientConnectionEvents, ServerConnectionEvents } from '../../http/message.ts';
import { Intake } from '../../net/intake.ts';
import { adoptAccepted, SocketReader } from '../../net/socket-reader.ts';
import { Turn, TurnWriter } from '../../net/turn-writer.ts';
import { Http2ClientConnection } from '../client-connection.ts';
import { http2Options } from '../options.ts';
import { Http2ServerConnection } from '../server-connection.ts';

const options = http2Options({ nowMs: () => performance.now() });
const turn = new Turn(setImmediate);
const intake = new Intake();
const NOWHERE = { receive() {}, receiveEnd() {}, transportClosed() {}, transportDrained() {} };

export interface LoopbackServer {
  readonly port: number;
  readonly connections: Http2ServerConnection[];
  close(): Promise<void>;
}

/** Our server on a real socket. `events` is called once for each connection. */
export async function listen(events: () => ServerConnectionEvents): Promise<LoopbackServer> {
  const sockets = new Set<net.Socket>();
  const connections: Http2ServerConnection[] = [];
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (accepted) => {
    const reader = new SocketReader(NOWHERE, intake);
    const socket = adoptAccepted(accepted, reader);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const connection = new Http2ServerConnection(socket, new TurnWriter(turn, socket), events(), options);
    connections.push(connection);
    reader.sink = connection;
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    connections,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Our client on a real socket. */
export async function connect(port: number, events: ClientConnectionEvents): Promise<[Http2ClientConnection, net.Socket]> {
  const reader = new SocketReader(NOWHERE, intake);
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true, onread: reader.onread } as net.NetConnectOpts);
  reader.watch(socket);
  await once(socket, 'connect');
  const connection = new Http2ClientConnection(socket, new TurnWriter(turn, socket), events, options);
  reader.sink = connection;
  return [connection, socket];
}
