// The same peer as grpc-go's, by @grpc/grpc-js-xds: node grpc-js.ts client TARGET - | server ADDRESS INSTANCE | xds-server ADDRESS INSTANCE.
import { createInterface } from 'node:readline';
import { ChannelCredentials, Client, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { register, XdsChannelCredentials, XdsServer, XdsServerCredentials } from '@grpc/grpc-js-xds';

/** grpc.health.v1.Health/Check, whose messages are empty enough to be written by hand: the answer is SERVING. */
const METHOD = '/grpc.health.v1.Health/Check';
const SERVING = Buffer.from([0x08, 0x01]);
const TIMEOUT_MS = 10_000;
const asIs = (bytes: Buffer): Buffer => bytes;

const [mode, address = '', argument = ''] = process.argv.slice(2);

function call(client: Client): Promise<string> {
  return new Promise((resolve, reject) => {
    let instance = '';
    const done = (error: Error | null): void => (error === null ? resolve(instance) : reject(error));
    client.makeUnaryRequest(METHOD, asIs, asIs, Buffer.alloc(0), { deadline: Date.now() + TIMEOUT_MS }, done).once('metadata', (header) => {
      instance = String(header.get('x-instance')[0] ?? '');
    });
  });
}

async function clientOf(target: string): Promise<void> {
  const client = new Client(target, new XdsChannelCredentials(ChannelCredentials.createInsecure()));
  for await (const line of createInterface({ input: process.stdin })) {
    const instances: Record<string, number> = {};
    let errors = 0;
    let lastError = '';
    for (let made = 0; made < Number(line); made++) {
      try {
        const instance = await call(client);
        instances[instance] = (instances[instance] ?? 0) + 1;
      } catch (error) {
        errors++;
        lastError = String(error);
      }
    }
    console.log(JSON.stringify({ instances, errors, lastError }));
  }
  client.close();
}

function serve(server: Server, credentials: ServerCredentials): void {
  const messages = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
  server.addService({ check: { path: METHOD, requestStream: false, responseStream: false, ...messages } } as never, {
    check(received: { sendMetadata(metadata: Metadata): void }, done: (error: null, answer: Buffer) => void) {
      const metadata = new Metadata();
      metadata.set('x-instance', argument);
      received.sendMetadata(metadata);
      done(null, SERVING);
    },
  });
  server.bindAsync(address, credentials, (error) => {
    if (error !== null) throw error;
  });
}

// Without it a server knows no HTTP filter, and refuses every listener.
register();
if (mode === 'client') await clientOf(address);
else if (mode === 'server') serve(new Server(), ServerCredentials.createInsecure());
else if (mode === 'xds-server') serve(new XdsServer(), new XdsServerCredentials(ServerCredentials.createInsecure()));
else throw new Error(`${mode ?? ''}: no such mode (${status.INVALID_ARGUMENT})`);
